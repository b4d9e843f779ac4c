//! The port of the engine, over the rules of a folder.

use crate::arguments::Parameters;
use crate::decide;
use crate::folder;
use crate::party::{Key, Parties};
use crate::rules::{RuleFile, Rules};
use crate::schema::{self, Tools};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use fusebox_core::component::FunctionShape;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::authorizer::{Act, Arguments, Authorizer, Decision, Listing, Question, Rule, RuleFinding};
use fusebox_engine::ports::clock::Clock;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Functions whose types are kept; beyond that all are forgotten and read again as they come.
const MOST_TYPES: usize = 4096;

/// What is in force.
#[derive(Debug)]
enum Force {
    /// There are no rule files: roles alone decide.
    Nothing,
    /// These rules.
    Rules(Box<Rules>),
    /// The rules were broken when the host started, and nothing is permitted until they are mended.
    Broken(String),
}

/// What is in force, and since which version.
#[derive(Debug)]
struct State {
    version: u64,
    force: Force,
}

/// Decides by the Cedar rules of a folder; roles alone decide while it has none.
pub struct CedarAuthorizer {
    folder: PathBuf,
    state: ArcSwap<State>,
    parties: Parties,
    types: ArcSwap<HashMap<(Digest, String), Arc<Parameters>>>,
    /// Deployed tools by tenant, for the types of rules.
    known: Mutex<BTreeMap<String, Tools>>,
    /// The files as they were read last, and whether they came into force.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    read: Option<Result<Vec<RuleFile>, Vec<RuleFinding>>>,
    /// What was wrong with them.
    findings: Vec<RuleFinding>,
}

impl CedarAuthorizer {
    /// Reads the rules of a folder, which need not exist. Broken ones are logged, and nothing is permitted until they are mended.
    #[must_use]
    pub fn open(folder: PathBuf) -> Arc<Self> {
        let authorizer = Self {
            folder,
            state: ArcSwap::from_pointee(State {
                version: 0,
                force: Force::Nothing,
            }),
            parties: Parties::default(),
            types: ArcSwap::default(),
            known: Mutex::default(),
            seen: Mutex::default(),
        };
        authorizer.refresh();
        Arc::new(authorizer)
    }

    /// Looks at the folder each second, and takes what has changed into force, for as long as the authorizer is held by somebody else.
    pub fn watch(self: &Arc<Self>, clock: Arc<dyn Clock>) {
        let watched = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                clock.sleep(LOOK).await;
                let Some(authorizer) = watched.upgrade() else { return };
                // Files are read where reading may take its time.
                if tokio::task::spawn_blocking(move || authorizer.refresh()).await.is_err() {
                    tracing::error!("the rules could not be looked at");
                }
            }
        });
    }

    /// Looks at the folder once. Rules that are broken, or gone, leave those in force that were.
    pub fn refresh(&self) {
        let read = folder::read(&self.folder);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.read.as_ref() == Some(&read) {
            return;
        }
        let before = self.state.load();
        let taken = match read.clone() {
            Ok(files) if files.is_empty() => match before.force {
                Force::Nothing => Ok(Force::Nothing),
                // Somebody who replaces a folder does not mean to permit everything meanwhile.
                _ => Err(vec![gone(&self.folder)]),
            },
            Ok(files) => Rules::read(files).map(|rules| Force::Rules(Box::new(rules))),
            Err(findings) => Err(findings),
        };
        let first = seen.read.is_none();
        seen.read = Some(read);
        seen.findings = match &taken {
            Ok(Force::Rules(rules)) => self.mismatches(rules),
            Ok(_) => Vec::new(),
            Err(findings) => findings.clone(),
        };
        for found in &seen.findings {
            log(found);
        }
        let fits = !seen.findings.iter().any(|found| found.is_error);
        let version = before.version + 1;
        match taken {
            Ok(Force::Nothing) => {}
            Ok(force) if fits || first => {
                tracing::info!(version, folder = %self.folder.display(), "rules are in force");
                self.state.store(Arc::new(State { version, force }));
            }
            Err(findings) if first => {
                let what: Vec<_> = findings
                    .iter()
                    .map(|found| format!("{}: {}", found.place, found.message))
                    .collect();
                let force = Force::Broken(what.join("; "));
                self.state.store(Arc::new(State { version, force }));
            }
            _ => tracing::error!("the rules that were in force before stay in force"),
        }
    }

    /// What does not fit the types of any tenant's tools.
    fn mismatches(&self, rules: &Rules) -> Vec<RuleFinding> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings: Vec<_> = known.values().flat_map(|tools| schema::check(rules, tools)).collect();
        findings.sort_by(|a, b| (&a.place, &a.message).cmp(&(&b.place, &b.message)));
        findings.dedup();
        findings
    }

    fn parameters(&self, arguments: &Arguments<'_>) -> Arc<Parameters> {
        let key = (arguments.component, arguments.shape.name.clone());
        if let Some(known) = self.types.load().get(&key) {
            return Arc::clone(known);
        }
        let parameters = Arc::new(Parameters::of(arguments.shape));
        self.types.rcu(|known| {
            let mut next = if known.len() < MOST_TYPES {
                HashMap::clone(known)
            } else {
                HashMap::new()
            };
            next.insert(key.clone(), Arc::clone(&parameters));
            next
        });
        parameters
    }

    fn decided(&self, rules: &Rules, question: &Question<'_>) -> Decision {
        let party = self.parties.get(Key {
            principal: question.principal.to_owned(),
            roles: question.roles,
            act: question.act,
            tool: question.tool.to_owned(),
            function: question.function.map(str::to_owned),
        });
        let parameters = question.arguments.as_ref().map(|arguments| self.parameters(arguments));
        match party {
            Ok(party) => decide::decide(rules, &party, parameters.as_deref(), question),
            Err(reason) => Decision::Deny { reason },
        }
    }
}

#[async_trait]
impl Authorizer for CedarAuthorizer {
    async fn decide(&self, question: &Question<'_>) -> Decision {
        match &self.state.load().force {
            Force::Nothing => Decision::Allow,
            Force::Rules(rules) => self.decided(rules, question),
            Force::Broken(what) => Decision::Deny {
                reason: format!("the rules are broken, so nothing is permitted: {what}"),
            },
        }
    }

    fn may_list(&self, listing: &Listing<'_>) -> bool {
        let state = self.state.load();
        let rules = match &state.force {
            Force::Nothing => return true,
            Force::Broken(_) => return false,
            Force::Rules(rules) => rules,
        };
        let party = self.parties.get(Key {
            principal: listing.principal.to_owned(),
            roles: listing.roles,
            act: Act::Call,
            tool: listing.tool.to_owned(),
            function: Some(listing.function.to_owned()),
        });
        party.is_ok_and(|party| decide::may_permit(rules, &party, listing.tenant))
    }

    fn learn(&self, tenant: &str, tool: &str, functions: &[FunctionShape]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tools = known.entry(tenant.to_owned()).or_default();
        tools.insert(tool.to_owned(), functions.to_vec());
    }

    fn rules(&self) -> Vec<Rule> {
        match &self.state.load().force {
            Force::Rules(rules) => rules.listed(),
            Force::Nothing | Force::Broken(_) => Vec::new(),
        }
    }

    fn findings(&self) -> Vec<RuleFinding> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.read.clone() {
            // By the types that are known by now.
            Some(Ok(files)) if !files.is_empty() => match Rules::read(files) {
                Ok(rules) => self.mismatches(&rules),
                Err(findings) => findings,
            },
            _ => seen.findings.clone(),
        }
    }

    fn schema(&self, tenant: &str) -> String {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        schema::text(known.get(tenant).unwrap_or(&Tools::new()))
    }

    fn version(&self) -> u64 {
        self.state.load().version
    }
}

fn gone(folder: &std::path::Path) -> RuleFinding {
    RuleFinding {
        is_error: true,
        place: folder.display().to_string(),
        message: "the rule files are gone".to_owned(),
        help: Some("put them back, or start the host anew to let roles alone decide".to_owned()),
    }
}

fn log(found: &RuleFinding) {
    let help = found.help.as_deref().unwrap_or_default();
    if found.is_error {
        tracing::error!(place = found.place, help, "{}", found.message);
    } else {
        tracing::warn!(place = found.place, help, "{}", found.message);
    }
}

#[cfg(test)]
mod tests;
