//! A host that is reached over HTTP, as commands see it: the same requests, answers and failures as of this process's own.

mod calls;
mod checkup;
mod connection;
mod deploys;
mod place;
mod problem;
mod tls;
mod trouble;

pub use checkup::checkup;

use crate::api::{Answer, Api, Progress};
use crate::cli::Failed;
use crate::deploying::{Refused, Upload};
use crate::dto::deployment::Deployment;
use crate::dto::key_request::{KeyMade, KeyRequest};
use crate::dto::letter_stats::Stats;
use crate::dto::policy_row::PolicyRow;
use crate::dto::small::{Decision, Purge, Purged, Retained};
use crate::dto::tool_detail::ToolDetail;
use async_trait::async_trait;
use bytes::Bytes;
use connection::Connection;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::{ApprovalId, Digest, LetterId, RedriveId, RunId};
use fusebox_engine::debug::DebugReport;
use fusebox_engine::host::{NewKey, Outlook};
use fusebox_engine::ports::store::{
    ApprovalFilter, AuditFilter, ErrorFilter, LetterFilter, RunFilter, ToolChange, Verdict,
};
use fusebox_engine::records::{
    ApprovalRecord, AuditRecord, AuditVerdict, BreakerRecord, ErrorRecord, JournalRecord, KeyRecord, LetterRecord,
    RedriveRecord, RunRecord, ToolRecord,
};
use fusebox_engine::requests::{
    BreakerOrder, Call, Caller, LetterStats, MemoryRange, Redrive, Replay, Replayed, Reply, Resolve,
};
use place::at;
use reqwest::Method;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a bulk replay is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Bytes of memory that are asked for at once.
const CHUNK: u64 = 16 << 20;

/// How a host is reached.
#[derive(Clone, Default)]
pub struct Way {
    /// Its address, such as `https://fusebox.example`.
    pub host: String,
    /// The API key, or the token of an issuer that the host trusts.
    pub key: Option<String>,
    /// PEM file with the authority that signed the host's certificate.
    pub ca: Option<PathBuf>,
}

/// A host that is reached over HTTP. Whom it takes the caller for, it tells by the key.
pub struct Remote {
    connection: Connection,
}

impl Remote {
    /// A host at the end of that way; nothing is sent yet. `stop` ends what is waited for; the host goes on.
    ///
    /// # Errors
    /// An address, a key or a certificate that is none.
    pub fn new(way: &Way, stop: CancellationToken) -> Result<Self, Failed> {
        Ok(Self {
            connection: Connection::open(way, stop)?,
        })
    }
}

fn bad_input(message: impl Into<String>) -> Box<Failure> {
    Box::new(Failure::new(Code::BadInput, Class::Caller, message))
}

#[async_trait]
impl Api for Remote {
    async fn call(&self, _caller: &Caller, call: Call) -> Answer<Reply> {
        self.calls(call).await
    }

    async fn deploy(&self, _: &Caller, uploads: Vec<Upload>, accept: &[String]) -> Result<Vec<Deployment>, Refused> {
        self.deploys(uploads, accept).await
    }

    async fn tools(&self, _: &Caller) -> Answer<Vec<ToolRecord>> {
        self.connection.all(at(["tools"])).await
    }

    async fn tool(&self, _: &Caller, name: &str) -> Answer<ToolDetail> {
        self.connection.get(&at(["tools", name])).await
    }

    async fn explain(&self, _: &Caller, tool: &str, function: &str) -> Result<Vec<PolicyRow>, Refused> {
        self.explains(tool, function).await
    }

    async fn change_tool(&self, _: &Caller, name: &str, change: ToolChange) -> Answer<()> {
        let (method, place) = match change {
            ToolChange::Enable => (Method::POST, at(["tools", name, "enable"])),
            ToolChange::Disable => (Method::POST, at(["tools", name, "disable"])),
            ToolChange::Remove => (Method::DELETE, at(["tools", name])),
        };
        self.connection.order(method, &place).await
    }

    async fn component(&self, _: &Caller, digest: Digest) -> Answer<Bytes> {
        self.connection.bytes(&at(["components", &digest.to_string()])).await
    }

    async fn runs(&self, _: &Caller, filter: &RunFilter) -> Answer<Vec<RunRecord>> {
        let place = at(["runs"])
            .maybe("tool", filter.tool.as_ref())
            .maybe("state", filter.state.as_ref())
            .maybe("since", filter.since);
        self.connection.list(place, filter.limit, after(&filter.after)).await
    }

    async fn run(&self, _: &Caller, id: &RunId) -> Answer<RunRecord> {
        self.connection.get(&at(["runs", id.as_str()])).await
    }

    async fn tree(&self, _: &Caller, id: &RunId) -> Answer<Vec<RunRecord>> {
        self.connection.all(at(["runs", id.as_str(), "tree"])).await
    }

    async fn journal(&self, _: &Caller, id: &RunId) -> Answer<Vec<JournalRecord>> {
        self.connection.all(at(["runs", id.as_str(), "journal"])).await
    }

    async fn cancel(&self, _: &Caller, id: &RunId) -> Answer<()> {
        self.connection
            .order(Method::POST, &at(["runs", id.as_str(), "cancel"]))
            .await
    }

    async fn resume(&self, _: &Caller, id: &RunId) -> Answer<Reply> {
        self.waited(&at(["runs", id.as_str(), "resume"])).await
    }

    async fn letters(&self, _: &Caller, filter: &LetterFilter) -> Answer<Vec<LetterRecord>> {
        let place = at(["dead-letters"])
            .maybe("service", filter.service.as_ref())
            .maybe("tool", filter.tool.as_ref())
            .maybe("class", filter.class.as_ref())
            .maybe("since", filter.since)
            .maybe("closed", filter.closed.then_some(true));
        self.connection.list(place, filter.limit, after(&filter.after)).await
    }

    async fn letter(&self, _: &Caller, id: &LetterId) -> Answer<LetterRecord> {
        self.connection.get(&at(["dead-letters", id.as_str()])).await
    }

    async fn letter_of(&self, _: &Caller, run: &RunId) -> Answer<LetterRecord> {
        self.connection.get(&at(["runs", run.as_str(), "dead-letter"])).await
    }

    async fn outlook(&self, _: &Caller, letter: &LetterRecord) -> Answer<Outlook> {
        self.connection
            .get(&at(["dead-letters", letter.id.as_str(), "outlook"]))
            .await
    }

    async fn memory(&self, _: &Caller, letter: &LetterId, range: MemoryRange) -> Answer<Vec<u8>> {
        let mut read = Vec::new();
        loop {
            let length = range.length.saturating_sub(read.len() as u64).min(CHUNK);
            let place = at(["dead-letters", letter.as_str(), "memory"])
                .with("instance", range.instance)
                .with("memory", range.memory)
                .with("offset", range.offset.saturating_add(read.len() as u64))
                .with("length", length);
            let chunk = self.connection.bytes(&place).await?;
            read.extend_from_slice(&chunk);
            // A shorter one is the last: the memory ends there.
            if (chunk.len() as u64) < CHUNK {
                return Ok(read);
            }
        }
    }

    async fn coredump(&self, _: &Caller, letter: &LetterId) -> Answer<Vec<u8>> {
        let place = at(["dead-letters", letter.as_str(), "coredump"]);
        Ok(self.connection.bytes(&place).await?.into())
    }

    async fn debug(&self, _: &Caller, letter: &LetterId, stacks: bool, time: Duration) -> Answer<DebugReport> {
        let place = at(["dead-letters", letter.as_str(), "debug"])
            .maybe("stacks", stacks.then_some(true))
            .with("time", format!("{}ms", time.as_millis()));
        // Each of its replays takes up to that time, so that there is no telling how long all take.
        let response = self.connection.fetch(&place, None).await?;
        Ok(self.connection.json(response).await?)
    }

    async fn replay(&self, _: &Caller, replay: Replay) -> Answer<Replayed> {
        self.replays(&replay).await
    }

    async fn resolve(&self, _: &Caller, letter: &LetterId, resolve: Resolve) -> Answer<LetterRecord> {
        self.resolves(letter, &resolve).await
    }

    async fn pin(&self, _: &Caller, letter: &LetterId, pinned: bool) -> Answer<()> {
        let word = if pinned { "pin" } else { "unpin" };
        self.connection
            .order(Method::POST, &at(["dead-letters", letter.as_str(), word]))
            .await
    }

    async fn purge(&self, _: &Caller, ids: &[LetterId]) -> Answer<Vec<LetterId>> {
        let ids = ids.iter().map(ToString::to_string).collect();
        let purged: Purged = self
            .connection
            .post(&at(["dead-letters", "purge"]), &Purge { ids })
            .await?;
        letters(&purged.closed)
    }

    async fn expired(&self, _: &Caller) -> Answer<Vec<LetterId>> {
        let expired: Vec<String> = self.connection.all(at(["dead-letters", "expired"])).await?;
        letters(&expired)
    }

    async fn retain(&self, _: &Caller) -> Answer<u64> {
        let retained: Retained = self.connection.post(&at(["retention"]), &serde_json::json!({})).await?;
        Ok(retained.gone)
    }

    async fn stats(&self, _: &Caller) -> Answer<LetterStats> {
        let stats: Stats = self.connection.get(&at(["dead-letters", "stats"])).await?;
        Ok(stats.into())
    }

    async fn redrive(&self, _: &Caller, redrive: Redrive) -> Answer<RedriveRecord> {
        self.connection.post(&at(["redrives"]), &redrive).await
    }

    async fn redrives(&self, _: &Caller) -> Answer<Vec<RedriveRecord>> {
        self.connection.all(at(["redrives"])).await
    }

    async fn redrive_of(&self, _: &Caller, id: &RedriveId) -> Answer<RedriveRecord> {
        self.connection.get(&at(["redrives", id.as_str()])).await
    }

    async fn cancel_redrive(&self, _: &Caller, id: &RedriveId) -> Answer<RedriveRecord> {
        let place = at(["redrives", id.as_str(), "cancel"]);
        self.connection.post(&place, &serde_json::json!({})).await
    }

    async fn run_redrive(&self, caller: &Caller, id: &RedriveId, progress: Progress<'_>) -> Answer<RedriveRecord> {
        loop {
            let redrive = self.redrive_of(caller, id).await?;
            progress(&redrive);
            if redrive.state != "running" {
                return Ok(redrive);
            }
            self.connection.pause(LOOK).await?;
        }
    }

    async fn approvals(&self, _: &Caller, filter: &ApprovalFilter) -> Answer<Vec<ApprovalRecord>> {
        let place = at(["approvals"])
            .maybe("all", filter.all.then_some(true))
            .maybe("root", filter.root.as_ref());
        self.connection.list(place, filter.limit, after(&filter.after)).await
    }

    async fn approval(&self, _: &Caller, id: &ApprovalId) -> Answer<ApprovalRecord> {
        self.connection.get(&at(["approvals", id.as_str()])).await
    }

    async fn decide(&self, caller: &Caller, id: &ApprovalId, verdict: Verdict) -> Answer<ApprovalRecord> {
        if *verdict.by != *caller.principal {
            return Err(bad_input("who decides is who the key belongs to; leave --by away"));
        }
        let word = if verdict.approved { "approve" } else { "deny" };
        let decision = Decision { reason: verdict.reason };
        self.connection
            .post(&at(["approvals", id.as_str(), word]), &decision)
            .await
    }

    async fn breakers(&self, _: &Caller) -> Answer<Vec<BreakerRecord>> {
        self.connection.all(at(["breakers"])).await
    }

    async fn order_breaker(&self, _: &Caller, key: &str, order: BreakerOrder) -> Answer<BreakerRecord> {
        let word = match order {
            BreakerOrder::ForceOpen => "open",
            BreakerOrder::Disable => "disable",
            BreakerOrder::Close => "close",
        };
        self.connection
            .post(&at(["breakers", key, word]), &serde_json::json!({}))
            .await
    }

    async fn errors(&self, _: &Caller, filter: &ErrorFilter) -> Answer<Vec<ErrorRecord>> {
        let place = at(["errors"]).maybe("tool", filter.tool.as_ref());
        self.connection.list(place, filter.limit, after(&filter.after)).await
    }

    async fn create_key(&self, _: &Caller, new: NewKey) -> Answer<(KeyRecord, String)> {
        let made: KeyMade = self.connection.post(&at(["keys"]), &KeyRequest::from(&new)).await?;
        Ok((made.key, made.token))
    }

    async fn keys(&self, _: &Caller) -> Answer<Vec<KeyRecord>> {
        self.connection.all(at(["keys"])).await
    }

    async fn revoke_key(&self, _: &Caller, id: &str) -> Answer<KeyRecord> {
        self.connection.delete(&at(["keys", id])).await
    }

    async fn audit(&self, _: &Caller, filter: &AuditFilter) -> Answer<Vec<AuditRecord>> {
        let place = at(["audit"])
            .maybe("action", filter.action.as_ref())
            .maybe("principal", filter.principal.as_ref())
            .maybe("subject", filter.subject.as_ref())
            .maybe("since", filter.since);
        self.connection.list(place, filter.limit, after(&filter.after)).await
    }

    async fn verify_audit(&self, _: &Caller, known: Option<Digest>) -> Answer<AuditVerdict> {
        self.connection
            .get(&at(["audit", "verify"]).maybe("from-head", known))
            .await
    }
}

fn after(cursor: &Option<impl ToString>) -> Option<String> {
    cursor.as_ref().map(ToString::to_string)
}

fn letters(ids: &[String]) -> Answer<Vec<LetterId>> {
    let ids = ids.iter().map(|id| id.parse());
    ids.collect::<Result<_, _>>().map_err(|error| {
        Box::new(Failure::new(
            Code::Unreachable,
            Class::Unknown,
            format!("the host's answer is not understood: {error}"),
        ))
    })
}
