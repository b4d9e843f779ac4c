//! A run with the runs below it and their journals, as the store has them at one moment.

use crate::api::{Answer, Api};
use fusebox_core::ids::RunId;
use fusebox_core::run::State;
use fusebox_engine::records::{EffectRecord, JournalRecord, RunRecord};
use fusebox_engine::requests::Caller;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A run and everything below it.
pub(crate) struct Tree {
    /// Runs by the run that called them, in the order of their creation.
    below: BTreeMap<RunId, Vec<RunRecord>>,
    /// What is kept of their journals.
    journals: BTreeMap<RunId, Vec<JournalRecord>>,
}

impl Tree {
    /// Reads what is below a run, and the journals.
    ///
    /// # Errors
    /// What the host refused.
    pub(crate) async fn load(host: &dyn Api, caller: &Caller, run: &RunRecord) -> Answer<Self> {
        let root = run.nested.as_ref().map_or(&run.id, |nested| &nested.root);
        let runs = host.tree(caller, root).await?;
        let mut journals = BTreeMap::new();
        // A run that succeeded leaves no journal.
        for run in runs.iter().filter(|run| run.state != State::Succeeded.name()) {
            journals.insert(run.id.clone(), host.journal(caller, &run.id).await?);
        }
        Ok(Self::of(runs, journals))
    }

    /// The tree that those runs are, in the order of their creation, with those journals.
    pub(crate) fn of(runs: Vec<RunRecord>, journals: BTreeMap<RunId, Vec<JournalRecord>>) -> Self {
        let mut below: BTreeMap<RunId, Vec<RunRecord>> = BTreeMap::new();
        for run in runs {
            if let Some(nested) = &run.nested {
                below.entry(nested.parent.clone()).or_default().push(run);
            }
        }
        Self { below, journals }
    }

    /// The runs that a run called, in the order of their creation.
    pub(crate) fn below(&self, run: &RunId) -> &[RunRecord] {
        self.below.get(run).map_or(&[], Vec::as_slice)
    }

    /// What is kept of a run's journal, by number.
    pub(crate) fn journal(&self, run: &RunId) -> &[JournalRecord] {
        self.journals.get(run).map_or(&[], Vec::as_slice)
    }

    /// Effects in the journal that no attempt tells of: it goes on, or nobody lived to tell how it ended.
    pub(crate) fn untold<'a>(&'a self, run: &'a RunRecord) -> impl Iterator<Item = &'a JournalRecord> {
        let told: BTreeSet<_> = effects(run).map(|effect| effect.seq).collect();
        self.journal(&run.id)
            .iter()
            .filter(move |entry| !told.contains(&entry.seq))
    }

    /// A run with everything below it, depth first: each under the run that called it.
    pub(crate) fn whole<'a>(&'a self, run: &'a RunRecord) -> Vec<&'a RunRecord> {
        let mut found = vec![run];
        for below in self.below(&run.id) {
            found.extend(self.whole(below));
        }
        found
    }

    /// The run as one object, with its journal and the runs below it.
    pub(crate) fn json(&self, run: &RunRecord) -> Value {
        let mut value = json!(run);
        let journal = self.journal(&run.id);
        if !journal.is_empty() {
            value["journal"] = json!(journal);
        }
        let below = self.below(&run.id);
        if !below.is_empty() {
            value["below"] = below.iter().map(|run| self.json(run)).collect();
        }
        value
    }
}

/// Every effect that an attempt of the run tells of.
pub(crate) fn effects(run: &RunRecord) -> impl Iterator<Item = &EffectRecord> {
    run.attempts.iter().flat_map(|attempt| &attempt.effects)
}
