//! What faces ask of runs that are not over: resume, cancel, approve, resolve; and of letters in bulk.

use super::{Host, stats};
use crate::audit::{Deed, Entry, around};
use crate::authorize;
use crate::catalog;
use crate::engine::Engine;
use crate::permission::Action;
use crate::ports::fleet::Topic;
use crate::ports::store::{ApprovalFilter, LetterFilter, Verdict};
use crate::records::{ApprovalRecord, JournalRecord, LetterRecord, RedriveRecord, RunRecord};
use crate::recovery;
use crate::redrive;
use crate::redriving;
use crate::refusals;
use crate::requests::{Caller, LetterStats, Redrive, Reply, Resolve};
use crate::resolve;
use crate::workers;
use crate::{alerts, by_itself, meters, retention, rules};
use fusebox_core::failure::Failure;
use fusebox_core::ids::{ApprovalId, LetterId, RedriveId, RunId};
use fusebox_core::run::State;
use serde_json::{Value, json};
use std::sync::Arc;

type Answer<T> = Result<T, Box<Failure>>;

impl Host {
    /// Goes on with a run in this process: a failed one whose journal is kept, a sleeping or decided one, one whose host is gone.
    ///
    /// # Errors
    /// Why it cannot go on, or its failure.
    pub async fn resume(&self, caller: &Caller, run: &RunId) -> Answer<Reply> {
        caller.may(Action::ManageRuns)?;
        let record = self.run(caller, run).await?;
        if State::from_name(&record.state) == Some(State::Failed) {
            authorize::resume(&self.engine, caller, &record).await?;
        }
        let (engine, caller, run) = (Arc::clone(&self.engine), caller.clone(), run.clone());
        let resumed = async move {
            let lease = recovery::take(&engine, &caller, &run).await?;
            recovery::go_on(&engine, lease, true).await
        };
        self.carry_out(Box::pin(resumed)).await
    }

    /// A run and the runs below it, in the order of their creation.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn tree(&self, caller: &Caller, run: &RunId) -> Answer<Vec<RunRecord>> {
        let root = self.run(caller, run).await?;
        let below = self.engine.ports.store.tree(&caller.tenant, run).await;
        let below = below.map_err(|error| refusals::store("the run's tree cannot be read", &error))?;
        Ok(std::iter::once(root).chain(below).collect())
    }

    /// The journal of a run, by number; empty when none is kept.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn journal(&self, caller: &Caller, run: &RunId) -> Answer<Vec<JournalRecord>> {
        if caller.sees_runs_of()?.is_some() {
            self.run(caller, run).await?;
        }
        let journal = self.engine.ports.store.journal(&caller.tenant, run).await;
        journal.map_err(|error| refusals::store("the journal cannot be read", &error))
    }

    /// Questions to a person, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn approvals(&self, caller: &Caller, filter: &ApprovalFilter) -> Answer<Vec<ApprovalRecord>> {
        caller.may(Action::SeeApprovals)?;
        let approvals = self.engine.ports.store.approvals(&caller.tenant, filter).await;
        approvals.map_err(|error| refusals::store("the approvals cannot be listed", &error))
    }

    /// One question.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn approval(&self, caller: &Caller, id: &ApprovalId) -> Answer<ApprovalRecord> {
        caller.may(Action::SeeApprovals)?;
        let approval = self.engine.ports.store.approval(&caller.tenant, id).await;
        approval
            .map_err(|error| refusals::store("the approval cannot be read", &error))?
            .ok_or_else(|| refusals::no_approval(id.as_str()))
    }

    /// Decides a question; its run can go on then, on any host.
    ///
    /// # Errors
    /// That it was decided already, has expired, or that it could not be stored.
    pub async fn decide(&self, caller: &Caller, id: &ApprovalId, verdict: Verdict) -> Answer<ApprovalRecord> {
        caller.may(Action::Decide)?;
        let approval = self.approval(caller, id).await?;
        let run = self.engine.ports.store.run(&caller.tenant, &approval.run).await;
        let run = run.map_err(|error| refusals::store("the run that waits cannot be read", &error))?;
        authorize::approve(&self.engine, caller, &approval, run.as_ref()).await?;
        let deed = if verdict.approved { Deed::Approve } else { Deed::Decline };
        let entry = Entry::begun(deed, id, json!({ "by": verdict.by }));
        let id = id.clone();
        let decided = async move |engine: Arc<Engine>, caller: Caller| {
            let decided = engine.ports.store.decide(&caller.tenant, &id, &verdict).await;
            let decided = decided.map_err(|error| refusals::store("the approval could not be decided", &error))?;
            engine.ports.fleet.tell(Topic::Runs);
            Ok(decided)
        };
        around(&self.engine, caller, entry, decided).await
    }

    /// Settles a letter in doubt.
    ///
    /// # Errors
    /// That there is none, that it is not in doubt or being replayed, or that there is no such effect.
    pub async fn resolve(&self, caller: &Caller, letter: &LetterId, resolve: Resolve) -> Answer<LetterRecord> {
        caller.may(Action::ManageLetters)?;
        let entry = Entry::begun(Deed::Resolve, letter, told(&resolve));
        let letter = letter.clone();
        let resolved = async move |engine: Arc<Engine>, caller: Caller| {
            Box::pin(resolve::resolve(&engine, &caller, &letter, resolve)).await
        };
        let letter = around(&self.engine, caller, entry, resolved).await?;
        self.with_run(letter).await
    }

    /// Pins a letter, so that neither retention nor purge takes it, or lets it go.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn pin(&self, caller: &Caller, letter: &LetterId, pinned: bool) -> Answer<()> {
        caller.may(Action::ManageLetters)?;
        let deed = if pinned { Deed::Pin } else { Deed::Unpin };
        let entry = Entry::begun(deed, letter, json!({}));
        let letter = letter.clone();
        let done = async move |engine: Arc<Engine>, caller: Caller| match engine
            .ports
            .store
            .pin(&caller.tenant, &letter, pinned)
            .await
        {
            Ok(true) => Ok(()),
            Ok(false) => Err(refusals::no_letter(letter.as_str())),
            Err(error) => Err(refusals::store("the letter could not be pinned", &error)),
        };
        around(&self.engine, caller, entry, done).await
    }

    /// The letters that retention would close now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn expired(&self, caller: &Caller) -> Answer<Vec<LetterId>> {
        caller.may(Action::SeeLetters)?;
        let expired = self.engine.ports.store.expired(&caller.tenant).await;
        expired.map_err(|error| refusals::store("the letters cannot be listed", &error))
    }

    /// Open letters in numbers.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn stats(&self, caller: &Caller) -> Answer<LetterStats> {
        caller.may(Action::SeeLetters)?;
        let all = LetterFilter {
            limit: u32::MAX,
            ..LetterFilter::default()
        };
        Ok(stats::of(&self.letters(caller, &all).await?))
    }

    /// Starts a bulk replay of the letters that fit. It is carried out by [`Self::run_redrive`], or by a serving host.
    ///
    /// # Errors
    /// That it could not be stored.
    pub async fn redrive(&self, caller: &Caller, redrive: Redrive) -> Answer<RedriveRecord> {
        caller.may(Action::ManageLetters)?;
        let detail = json!({
            "tool": redrive.tool,
            "class": redrive.class,
            "since": redrive.since,
            "max": redrive.max,
        });
        let subject = redrive.service.clone().unwrap_or_else(|| "every service".to_owned());
        let started = async move |engine: Arc<Engine>, caller: Caller| redrive::start(&engine, &caller, redrive).await;
        let entry = Entry::begun(Deed::Redrive, subject, detail);
        around(&self.engine, caller, entry, started).await
    }

    /// Bulk replays, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn redrives(&self, caller: &Caller) -> Answer<Vec<RedriveRecord>> {
        caller.may(Action::SeeLetters)?;
        let redrives = self.engine.ports.store.redrives(&caller.tenant).await;
        redrives.map_err(|error| refusals::store("the bulk replays cannot be listed", &error))
    }

    /// One bulk replay.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn redrive_of(&self, caller: &Caller, id: &RedriveId) -> Answer<RedriveRecord> {
        caller.may(Action::SeeLetters)?;
        redrive::find(&self.engine, caller, id).await
    }

    /// Ends a bulk replay; the letter that it replays is finished, the rest stays untouched.
    ///
    /// # Errors
    /// That there is none, or those of the store.
    pub async fn cancel_redrive(&self, caller: &Caller, id: &RedriveId) -> Answer<RedriveRecord> {
        caller.may(Action::ManageLetters)?;
        let entry = Entry::begun(Deed::CancelRedrive, id, json!({}));
        let id = id.clone();
        let cancelled = async move |engine: Arc<Engine>, caller: Caller| redrive::cancel(&engine, &caller, &id).await;
        around(&self.engine, caller, entry, cancelled).await
    }

    /// Carries out a bulk replay in this process, and says after each letter how far it is.
    ///
    /// # Errors
    /// That there is none, or those of the store; letters that fail again are counted.
    pub async fn run_redrive(
        &self,
        caller: &Caller,
        id: &RedriveId,
        progress: &(dyn Fn(&RedriveRecord) + Send + Sync),
    ) -> Answer<RedriveRecord> {
        caller.may(Action::ManageLetters)?;
        redrive::run(&self.engine, caller, id, progress).await
    }

    /// The work of a serving host, until it is stopped: takes runs that can go on, wakes sleepers, lets letters replay by themselves,
    /// carries out bulk replays.
    pub async fn serve(self: &Arc<Self>) {
        let engine = || Arc::clone(&self.engine);
        self.engine.ports.fleet.listen();
        tokio::join!(
            workers::work(engine()),
            by_itself::work(engine()),
            redriving::work(engine()),
            alerts::work(engine()),
            retention::work(engine()),
            rules::work(engine()),
            meters::work(engine()),
            catalog::work(engine()),
        );
    }
}

/// What the audit trail tells of a letter that is settled: how, and never with what.
fn told(resolve: &Resolve) -> Value {
    match resolve {
        Resolve::Happened { run, effect, response } => json!({
            "how": "happened",
            "run": run.as_ref().map(RunId::as_str),
            "effect": effect,
            "status": response.status,
        }),
        Resolve::NotHappened { run, effect } => json!({
            "how": "not-happened",
            "run": run.as_ref().map(RunId::as_str),
            "effect": effect,
        }),
        Resolve::CloseFailed { .. } => json!({ "how": "close-failed" }),
        Resolve::CloseSucceeded { .. } => json!({ "how": "close-succeeded" }),
    }
}
