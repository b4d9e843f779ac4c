//! What a replay of a letter would begin with, told from its journal alone: nothing is run.

use super::Host;
use crate::journal::Journal;
use crate::permission::Action;
use crate::records::LetterRecord;
use crate::recovery;
use crate::requests::Caller;
use fusebox_core::classify;
use fusebox_core::effect::Effect;
use fusebox_core::failure::Failure;
use fusebox_core::journal::{self, Resume};
use serde::{Deserialize, Serialize};

/// Where a replay would go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// That effect is made again, and what follows; the rest is served.
    At {
        /// Its number.
        seq: u32,
        /// What it is, such as `POST /v1/transfers to ledger`.
        what: String,
    },
    /// Everything is served, and the guest goes on from the end.
    End {
        /// Effects that are served.
        served: usize,
        /// An earlier failure that only a person may go back to.
        instead: Option<Back>,
    },
    /// These effects are in doubt, and nothing is replayed before a person has settled them.
    InDoubt(Vec<u32>),
}

/// An earlier failure, and what going back to it would do once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Back {
    /// Number of the effect that failed.
    pub seq: u32,
    /// What it is.
    pub what: String,
    /// Numbers of what was settled, may not be repeated, and would happen again.
    pub repeats: Vec<u32>,
}

impl Host {
    /// Where a replay of the letter would go on, by the services and keys as they are now.
    ///
    /// # Errors
    /// That the tool's version cannot be loaded any more, or those of the store.
    pub async fn outlook(&self, caller: &Caller, letter: &LetterRecord) -> Result<Outlook, Box<Failure>> {
        caller.may(Action::SeeLetters)?;
        let engine = &self.engine;
        let run = &letter.run;
        let tool = engine
            .catalog
            .pinned(engine, &caller.tenant, &run.tool, run.version, run.component)
            .await?;
        let function = tool.function(&run.function)?;
        let starts_over = function.policy.idempotency.may_start_over();
        let journal = recovery::read_journal(engine, run, &tool).await?;
        Ok(outlook(&journal, starts_over))
    }
}

fn outlook(journal: &Journal, starts_over: bool) -> Outlook {
    let evidence = journal.evidence();
    let named = |seq: u32| {
        let found = evidence.iter().find(|entry| entry.seq() == seq);
        found.map_or_else(String::new, |entry| shown(&entry.effect))
    };
    match journal::resume_point(&evidence, starts_over) {
        Resume::At(seq) => Outlook::At { seq, what: named(seq) },
        Resume::InDoubt(effects) => Outlook::InDoubt(effects),
        Resume::End => {
            let failed = evidence.iter().find(|entry| classify::has_failed(&entry.effect));
            Outlook::End {
                served: evidence.len(),
                instead: failed.map(|entry| Back {
                    seq: entry.seq(),
                    what: shown(&entry.effect),
                    repeats: journal::would_repeat(&evidence, entry.seq(), &[]),
                }),
            }
        }
    }
}

fn shown(effect: &Effect) -> String {
    let service = match &*effect.service {
        "" => String::new(),
        service => format!(" to {service}"),
    };
    format!("{} {}{service}", effect.method, effect.path)
}
