//! What faces read and change besides calling: tools, runs, letters, breakers, errors.

use super::Host;
use crate::audit::{Deed, Entry, around};
use crate::breakers::Cell;
use crate::catalog::{Tool, tool_breaker, tool_key};
use crate::engine::Engine;
use crate::memory;
use crate::offer::{self, Offer};
use crate::permission::Action;
use crate::ports::fleet::Topic;
use crate::ports::sandbox::Component;
use crate::ports::store::{ErrorFilter, LetterFilter, RunFilter, ToolChange};
use crate::records::{BreakerRecord, ErrorRecord, LetterRecord, RunRecord, ToolRecord};
use crate::refusals;
use crate::requests::{BreakerOrder, Caller, MemoryRange};
use crate::services;
use fusebox_core::dead_letter::State as LetterState;
use fusebox_core::failure::Failure;
use fusebox_core::ids::{LetterId, RunId};
use fusebox_core::policy::{BreakerPolicy, ToolPolicy};
use serde_json::json;
use std::sync::Arc;

/// A deployed tool with everything that is known of it.
#[derive(Clone)]
pub struct ToolView {
    /// The version in force.
    pub record: ToolRecord,
    /// What its manifest comes down to.
    pub policy: Arc<ToolPolicy>,
    /// Its component.
    pub component: Arc<dyn Component>,
}

impl ToolView {
    pub(crate) fn of(tool: &Tool) -> Self {
        Self {
            record: tool.record.clone(),
            policy: Arc::clone(&tool.policy),
            component: Arc::clone(&tool.component),
        }
    }
}

type Answer<T> = Result<T, Box<Failure>>;

/// Letters that one entry of the audit trail names.
const PURGED_AN_ENTRY: usize = 100;

impl Host {
    /// The newest version of every tool, by name; a caller sees those that they may call.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tools(&self, caller: &Caller) -> Answer<Vec<ToolRecord>> {
        let offered = if caller.can(Action::SeeTools) {
            None
        } else {
            Some(self.offered(caller).await?)
        };
        if let Some(offered) = offered {
            return Ok(offered.into_iter().map(|offer| offer.tool.record).collect());
        }
        offer::all(&self.engine, &caller.tenant).await
    }

    /// What the caller may call: enabled tools, each with the functions that the rules may permit to them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn offered(&self, caller: &Caller) -> Answer<Vec<Offer>> {
        caller.may(Action::Call)?;
        offer::offered(&self.engine, caller).await
    }

    /// One tool, loaded; to a caller, one that they may call.
    ///
    /// # Errors
    /// That there is none, or that it cannot be loaded.
    pub async fn tool(&self, caller: &Caller, name: &str) -> Answer<ToolView> {
        if !caller.can(Action::SeeTools) {
            caller.may(Action::Call)?;
        }
        let tool = self.engine.catalog.refresh(&self.engine, &caller.tenant, name).await?;
        if !caller.can(Action::SeeTools) && offer::functions(&self.engine, caller, &tool).is_empty() {
            return Err(refusals::no_tool(name));
        }
        Ok(ToolView::of(&tool))
    }

    /// Enables, disables or removes a tool; other hosts follow within seconds.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn change_tool(&self, caller: &Caller, name: &str, change: ToolChange) -> Answer<()> {
        caller.may(match change {
            ToolChange::Remove => Action::RemoveTools,
            ToolChange::Enable | ToolChange::Disable => Action::SwitchTools,
        })?;
        let deed = match change {
            ToolChange::Enable => Deed::Enable,
            ToolChange::Disable => Deed::Disable,
            ToolChange::Remove => Deed::Remove,
        };
        let named = name.to_owned();
        let changed = async move |engine: Arc<Engine>, caller: Caller| {
            let changed = engine.ports.store.change_tool(&caller.tenant, &named, change).await;
            engine.catalog.forget(&caller.tenant, &named);
            engine.ports.fleet.tell(Topic::Tools);
            match changed {
                Ok(true) => Ok(()),
                Ok(false) => Err(refusals::no_tool(&named)),
                Err(error) => Err(refusals::store("the tool could not be changed", &error)),
            }
        };
        around(&self.engine, caller, Entry::begun(deed, name, json!({})), changed).await
    }

    /// Runs, newest first; a caller sees their own.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn runs(&self, caller: &Caller, filter: &RunFilter) -> Answer<Vec<RunRecord>> {
        let filter = RunFilter {
            principal: caller
                .sees_runs_of()?
                .map(str::to_owned)
                .or_else(|| filter.principal.clone()),
            ..filter.clone()
        };
        let runs = self.engine.ports.store.runs(&caller.tenant, &filter).await;
        runs.map_err(|error| refusals::store("the runs cannot be listed", &error))
    }

    /// One run; a caller finds their own.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn run(&self, caller: &Caller, id: &RunId) -> Answer<RunRecord> {
        let own = caller.sees_runs_of()?;
        let run = self.engine.ports.store.run(&caller.tenant, id).await;
        run.map_err(|error| refusals::store("the run cannot be read", &error))?
            .filter(|run| own.is_none_or(|principal| run.principal == principal))
            .ok_or_else(|| refusals::no_run(id.as_str()))
    }

    /// Letters, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn letters(&self, caller: &Caller, filter: &LetterFilter) -> Answer<Vec<LetterRecord>> {
        caller.may(Action::SeeLetters)?;
        let letters = self.engine.ports.store.letters(&caller.tenant, filter).await;
        letters.map_err(|error| refusals::store("the letters cannot be listed", &error))
    }

    /// One letter.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn letter(&self, caller: &Caller, id: &LetterId) -> Answer<LetterRecord> {
        caller.may(Action::SeeLetters)?;
        let letter = self.engine.ports.store.letter(&caller.tenant, id).await;
        let letter = letter
            .map_err(|error| refusals::store("the letter cannot be read", &error))?
            .ok_or_else(|| refusals::no_letter(id.as_str()))?;
        self.with_run(letter).await
    }

    /// The letter of a run.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn letter_of(&self, caller: &Caller, run: &RunId) -> Answer<LetterRecord> {
        caller.may(Action::SeeLetters)?;
        let letter = self.engine.ports.store.letter_of(&caller.tenant, run).await;
        let letter = letter
            .map_err(|error| refusals::store("the letter cannot be read", &error))?
            .ok_or_else(|| refusals::no_letter_of(run.as_str()))?;
        self.with_run(letter).await
    }

    /// A letter that is closed tells of its run as it ended; an open one as it was when it failed last.
    pub(super) async fn with_run(&self, mut letter: LetterRecord) -> Answer<LetterRecord> {
        if LetterState::from_name(&letter.state).is_some_and(LetterState::is_closed) {
            let run = self.engine.ports.store.run(&letter.tenant, &letter.run.id).await;
            let run = run.map_err(|error| refusals::store("the run of the letter cannot be read", &error))?;
            letter.run = run.unwrap_or(letter.run);
        }
        Ok(letter)
    }

    /// Closes letters; leased ones and those in doubt stay. Says which were closed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn purge(&self, caller: &Caller, ids: &[LetterId]) -> Answer<Vec<LetterId>> {
        caller.may(Action::ManageLetters)?;
        let mut purged = Vec::new();
        for part in ids.chunks(PURGED_AN_ENTRY) {
            let letters: Vec<_> = part.iter().map(LetterId::as_str).collect();
            let subject = format!("{} letters", letters.len());
            let entry = Entry::begun(Deed::Purge, subject, json!({ "letters": letters }));
            let part = part.to_vec();
            let closed = async move |engine: Arc<Engine>, caller: Caller| {
                let closed = engine.ports.store.purge(&caller.tenant, &part).await;
                closed.map_err(|error| refusals::store("the letters could not be closed", &error))
            };
            purged.extend(around(&self.engine, caller, entry, closed).await?);
        }
        Ok(purged)
    }

    /// Forgets what is kept no longer; says how many rows went.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn retain(&self, caller: &Caller) -> Answer<u64> {
        caller.may(Action::Retain)?;
        let gone = self
            .engine
            .ports
            .store
            .retain(&caller.tenant, self.engine.settings.keep_runs)
            .await;
        gone.map_err(|error| refusals::store("old rows could not be removed", &error))
    }

    /// A part of the memory that a letter keeps.
    ///
    /// # Errors
    /// That there is no such memory, or that a page of it is lost.
    pub async fn memory(&self, caller: &Caller, letter: &LetterId, range: MemoryRange) -> Answer<Vec<u8>> {
        caller.may(Action::SeeLetters)?;
        let letter = self.letter(caller, letter).await?;
        memory::read(&self.engine, &letter, range).await
    }

    /// A standard core dump made of what a letter keeps.
    ///
    /// # Errors
    /// That it keeps no state, or that a page of it is lost.
    pub async fn coredump(&self, caller: &Caller, letter: &LetterId) -> Answer<Vec<u8>> {
        caller.may(Action::SeeLetters)?;
        let letter = self.letter(caller, letter).await?;
        memory::coredump(&self.engine, &letter).await
    }

    /// Every breaker that is stored or in memory, by key; what this host knows better is told as it knows it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn breakers(&self, caller: &Caller) -> Answer<Vec<BreakerRecord>> {
        caller.may(Action::Breakers)?;
        let stored = self.engine.ports.store.breakers(&caller.tenant).await;
        let mut breakers = stored.map_err(|error| refusals::store("the breakers cannot be listed", &error))?;
        for cell in self.engine.breakers.of_tenant(&caller.tenant) {
            let ours = cell.record();
            match breakers.iter_mut().find(|stored| stored.key == ours.key) {
                Some(stored) if stored.epoch <= ours.epoch => *stored = ours,
                Some(_) => {}
                None => breakers.push(ours),
            }
        }
        breakers.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(breakers)
    }

    /// Orders a breaker, for every host of the database.
    ///
    /// # Errors
    /// That no deployed tool has such a breaker, or that the order could not be stored.
    pub async fn order_breaker(&self, caller: &Caller, key: &str, order: BreakerOrder) -> Answer<BreakerRecord> {
        caller.may(Action::Breakers)?;
        let cell = self.breaker(caller, key).await?;
        let deed = match order {
            BreakerOrder::ForceOpen => Deed::OpenBreaker,
            BreakerOrder::Disable => Deed::DisableBreaker,
            BreakerOrder::Close => Deed::CloseBreaker,
        };
        let ordered = async move |engine: Arc<Engine>, _| engine.breakers.order(&cell, order).await;
        around(&self.engine, caller, Entry::begun(deed, key, json!({})), ordered).await
    }

    /// A breaker by its key: in memory, or made from the manifest of the tool that has it.
    async fn breaker(&self, caller: &Caller, key: &str) -> Answer<Arc<Cell>> {
        let in_memory = self
            .engine
            .breakers
            .of_tenant(&caller.tenant)
            .into_iter()
            .find(|cell| cell.key() == key);
        if let Some(cell) = in_memory {
            return Ok(cell);
        }
        let mut known = Vec::new();
        for tool in self.tools(caller).await? {
            match self.engine.ports.policies.lower(&tool.name, &tool.manifest) {
                Ok(policy) => known.extend(breakers_of(&policy)),
                Err(findings) => tracing::warn!(tool = tool.name, findings, "the manifest is not admitted any more"),
            }
        }
        let Some((_, policy)) = known.iter().find(|(known, _)| known == key) else {
            return Err(refusals::no_breaker(key, known.iter().map(|(key, _)| key.as_str())));
        };
        let stored = self.engine.breakers.stored(&caller.tenant).await;
        Ok(self.engine.breakers.configured(&caller.tenant, key, policy, &stored))
    }

    /// What failed and became no letter, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn errors(&self, caller: &Caller, filter: &ErrorFilter) -> Answer<Vec<ErrorRecord>> {
        caller.may(Action::SeeErrors)?;
        let errors = self.engine.ports.store.errors(&caller.tenant, filter).await;
        errors.map_err(|error| refusals::store("the error log cannot be read", &error))
    }
}

fn breakers_of(policy: &ToolPolicy) -> Vec<(String, BreakerPolicy)> {
    let services = policy
        .services
        .iter()
        .map(|service| (services::key_of(&policy.name, service), service.breaker.clone()));
    services
        .chain([(tool_key(&policy.name), tool_breaker(policy))])
        .collect()
}
