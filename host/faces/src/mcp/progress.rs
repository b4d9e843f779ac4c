//! Where a call stands, in words for the agent that waits for it.

use fusebox_core::run::State;
use fusebox_engine::following::{Seen, Stage};
use fusebox_engine::records::RunRecord;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::{Peer, RoleServer};
use std::time::Duration;

/// What a call that runs in this process waits for.
pub(super) fn of_seen(seen: &Seen) -> String {
    match &seen.stage {
        _ if seen.joined => "an earlier call that equals this one is still running".to_owned(),
        Stage::Admitted => "it waits for a place".to_owned(),
        Stage::Attempt { number: 1 } => "the tool is running".to_owned(),
        Stage::Attempt { number } => format!("the tool is running, attempt {number}"),
        Stage::Resting {
            failed,
            class,
            service,
            after,
        } => {
            let at = service
                .as_ref()
                .map_or_else(String::new, |service| format!(" at {service}"));
            format!(
                "attempt {failed} failed{at} ({class}); the next one begins in {}",
                lasting(*after)
            )
        }
    }
}

/// What a stored run waits for.
pub(super) fn of_record(run: &RunRecord) -> String {
    match (State::from_name(&run.state), &run.approval) {
        (Some(State::Suspended), Some(approval)) => format!(
            "a person has to approve it ({approval}); whoever runs this Fusebox host decides it there, at its command line or at \
             /v1/approvals/{approval}"
        ),
        (Some(State::Sleeping), _) => "it sleeps until its next attempt, or until its timer".to_owned(),
        (Some(State::Accepted), _) => "it waits for a host that takes it up".to_owned(),
        _ => "the tool is running".to_owned(),
    }
}

fn lasting(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{} s", time.as_secs())
    }
}

/// Tells a client that asked for it how its call goes on.
pub(super) struct Reporter {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    told: u32,
}

impl Reporter {
    /// Reports to a client that brought a token.
    pub(super) fn new(peer: &Peer<RoleServer>, token: Option<ProgressToken>) -> Self {
        Self {
            to: token.map(|token| (peer.clone(), token)),
            told: 0,
        }
    }

    /// Whether anybody is told.
    pub(super) fn is_heard(&self) -> bool {
        self.to.is_some()
    }

    /// Tells it; a client that does not hear it misses nothing that it needs.
    pub(super) async fn tell(&mut self, what: String) {
        let Some((peer, token)) = &self.to else { return };
        self.told += 1;
        let progress = ProgressNotificationParam::new(token.clone(), f64::from(self.told)).with_message(what);
        if let Err(error) = peer.notify_progress(progress).await {
            tracing::debug!(%error, "the client does not hear of progress");
        }
    }
}
