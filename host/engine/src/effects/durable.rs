//! What is written of effects before they are sent, and before the guest sees their end.

use super::ledger::Ending;
use super::{End, Stop, Way};
use crate::commit::PAUSES;
use crate::ownership::Ownership;
use crate::ports::sandbox::Got;
use crate::ports::store::{Append, Claim, Fence, NewRun, StateWrite, StoreError};
use crate::runs::Facts;
use fusebox_core::policy::Durability;
use fusebox_core::run::State;

impl Ending {
    /// The end of an exchange, whose service says that these statuses prove that nothing happened.
    pub(super) fn of(end: End, rejects: &[u16]) -> Self {
        let rejected =
            matches!(&end.answer, fusebox_core::effect::Answer::Status { status, .. } if rejects.contains(status));
        Self {
            answer: end.answer,
            got: Got::Http(end.seen),
            reason: end.reason,
            took: end.took,
            cut: end.cut,
            rejected,
        }
    }

    /// Something that is not granted, or not possible.
    pub(super) fn refused(why: String) -> Self {
        Self {
            answer: fusebox_core::effect::Answer::Denied,
            got: Got::Refused(why.clone()),
            reason: Some(why),
            took: std::time::Duration::ZERO,
            cut: false,
            rejected: false,
        }
    }
}

impl Way {
    /// Makes durable that the effect is about to be sent. A run that was in memory alone becomes durable with it, journal and all.
    pub(crate) async fn intend(&self, seq: u32) -> Result<(), StoreError> {
        if self.facts.durability == Durability::None {
            return Ok(());
        }
        if let Some(parent) = &self.parent {
            Box::pin(parent.way.intend(parent.seq)).await?;
        }
        let ownership = self.hold.get_or_claim(self.claim()).await?;
        if let Some(parent) = &self.parent {
            parent
                .claimed
                .get_or_try_init(|| self.claim_nested(ownership.fence()))
                .await?;
        }
        let (records, rewound) = self.ledger.intent(seq);
        let append = Append {
            run: Some(self.facts.id.clone()),
            records,
            rewound,
            ..Append::default()
        };
        let seqs: Vec<_> = append.records.iter().map(|record| record.seq).collect();
        let written = self.append(ownership, append).await;
        if written.is_err() {
            self.ledger.unwritten(&seqs);
        }
        written
    }

    /// Adds to the journal, again after a pause when the store could not take it: what is written twice is there once.
    async fn append(&self, ownership: &Ownership, append: Append) -> Result<(), StoreError> {
        let (store, clock) = (&self.engine.ports.store, &self.engine.ports.clock);
        let mut pauses = PAUSES.into_iter();
        loop {
            let written = store
                .append(&self.facts.tenant, self.facts.root(), ownership.fence(), append.clone())
                .await;
            match (written, pauses.next()) {
                (Err(StoreError::Unavailable { .. }), Some(pause)) => clock.sleep(pause).await,
                (written, _) => return written,
            }
        }
    }

    /// Gives a nested run a row of its own: it was in memory alone, and is about to do what may not be repeated.
    async fn claim_nested(&self, fence: &Fence) -> Result<(), StoreError> {
        let (engine, facts) = (&self.engine, &self.facts);
        let claimed = engine.ports.store.claim_nested(
            NewRun {
                run: facts.record(State::Running),
                call_key: facts.call_key,
                owner: engine.owner.clone(),
                lease: Facts::lease(engine, &facts.tool),
                key_lifetime: engine.settings.key_lifetime,
            },
            fence,
        );
        match claimed.await? {
            Claim::Fresh(_) => Ok(()),
            Claim::Stored(_) | Claim::Joined { .. } | Claim::Conflict(_) => Err(StoreError::Refused {
                what: format!("another run has the place of {} in its tree", facts.id),
            }),
        }
    }

    async fn claim(&self) -> Result<Ownership, StoreError> {
        let (engine, facts) = (&self.engine, &self.facts);
        let length = Facts::lease(engine, &facts.tool);
        let taken = engine.ports.clock.tick();
        let claimed = engine.ports.store.claim(NewRun {
            run: facts.record(State::Running),
            call_key: facts.call_key,
            owner: engine.owner.clone(),
            lease: length,
            key_lifetime: engine.settings.key_lifetime,
        });
        match claimed.await? {
            Claim::Fresh(fence) => Ok(Ownership::keep(
                engine,
                &facts.tenant,
                &facts.id,
                fence,
                taken,
                length,
                &self.stop,
            )),
            Claim::Stored(_) | Claim::Joined { .. } | Claim::Conflict(_) => Err(StoreError::Refused {
                what: format!("{} has a key that another run has taken", facts.id),
            }),
        }
    }

    /// Enters the end of an effect, and lets the guest see it once it is as durable as it has to be.
    pub(super) async fn settle(&self, seq: u32, end: Ending, state: Vec<StateWrite>) {
        let clock = &self.engine.ports.clock;
        let settling = self.ledger.settle(seq, end, clock.tick(), clock.wall());
        if let (Some(record), Some(ownership)) = (settling.record, self.hold.get()) {
            let append = Append {
                run: Some(self.facts.id.clone()),
                records: vec![record],
                rewound: settling.rewound,
                state,
                ..Append::default()
            };
            if let Err(error) = self.append(ownership, append).await {
                tracing::warn!(run = %self.facts.id, seq, %error, "an effect happened and its end could not be written");
                // The end of the run is written later, and tells of it if the store is back by then.
                self.ledger.unwritten(&[seq]);
                self.ledger.stop(Stop::Store(error));
                return;
            }
        }
        self.ledger.written(seq);
    }
}
