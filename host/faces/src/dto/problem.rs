//! What went wrong, as HTTP clients read it (RFC 9457), and as the failure that it was.

use crate::dto::deployment::Growth;
use crate::dto::finding::Finding;
use crate::outcome::{advice, outcome};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_engine::records::FailureRecord;
use serde::{Deserialize, Serialize};

/// The media type of problems.
pub const PROBLEM: &str = "application/problem+json";

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// `urn:fusebox:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, in a few words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, where, and what to change or type next.
    pub detail: String,
    /// The run that it happened in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
    /// Name of the code.
    pub code: String,
    /// Name of the class.
    pub class: String,
    /// The service that failed, or whose breaker is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<String>,
    /// Case of the function's error type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub case: Option<String>,
    /// The component's error value, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Milliseconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_ms: Option<u64>,
    /// Milliseconds since 1970 before which a replay is not worth it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_before: Option<i64>,
    /// The run that failed, or that holds the key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<String>,
    /// The letter that was written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub letter: Option<String>,
    /// The question that a person has to answer first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<String>,
    /// Causes, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub chain: Vec<String>,
    /// What is wrong with manifest or component.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
    /// What tools would be able to do more than before.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub grew: Vec<Growth>,
}

impl Problem {
    /// A problem of the request itself, before anybody was asked to do anything.
    #[must_use]
    pub fn new(status: u16, code: Code, title: &str, detail: impl Into<String>) -> Self {
        let failure = Failure::new(code, Class::Caller, detail);
        Self {
            status,
            title: title.to_owned(),
            help: None,
            ..Self::from(&failure)
        }
    }

    /// Input that makes no sense.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, Code::BadInput, "the request makes no sense", detail)
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        let row = outcome(failure.code);
        let record = FailureRecord::from(failure);
        let run = record.run.as_ref().map(ToString::to_string);
        Self {
            kind: format!("urn:fusebox:problem:{}", record.code),
            title: row.title.to_owned(),
            status: row.http,
            detail: record.message,
            instance: run.as_ref().map(|run| format!("/v1/runs/{run}")),
            help: Some(advice(failure)),
            code: record.code,
            class: record.class,
            service: record.service,
            case: record.case,
            error: record.error,
            retry_after_ms: record.retry_after_ms,
            not_before: record.not_before,
            run,
            letter: record.letter.as_ref().map(ToString::to_string),
            approval: record.approval.as_ref().map(ToString::to_string),
            chain: record.chain,
            findings: Vec::new(),
            grew: Vec::new(),
        }
    }
}

impl From<&Problem> for Failure {
    /// A code, class or id that this version does not know, from a newer host, becomes `internal`, `fault`, or is left out.
    fn from(problem: &Problem) -> Self {
        let record = FailureRecord {
            code: problem.code.clone(),
            class: problem.class.clone(),
            message: problem.detail.clone(),
            service: problem.service.clone(),
            case: problem.case.clone(),
            error: problem.error.clone(),
            retry_after_ms: problem.retry_after_ms,
            not_before: problem.not_before,
            run: problem.run.as_ref().and_then(|run| run.parse().ok()),
            letter: problem.letter.as_ref().and_then(|letter| letter.parse().ok()),
            approval: problem.approval.as_ref().and_then(|approval| approval.parse().ok()),
            chain: problem.chain.clone(),
        };
        Self::from(&record)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_core::ids::{ApprovalId, LetterId, RunId};
    use fusebox_core::time::Wall;
    use std::time::Duration;

    #[test]
    fn every_failure_survives_the_way_to_another_machine() {
        for code in Code::ALL {
            let mut failure = Failure::new(code, Class::Transient, "it failed");
            failure.service = Some("search".to_owned());
            failure.case = Some("not-found".to_owned());
            failure.error = Some("{\"n\":18446744073709551615}".to_owned());
            failure.retry_after = Some(Duration::from_millis(1500));
            failure.not_before = Some(Wall(7));
            failure.run = Some(RunId::new(Wall(1), 1));
            failure.letter = Some(LetterId::new(Wall(1), 1));
            failure.approval = Some(ApprovalId::new(Wall(1), 1));
            failure.chain = vec!["because".to_owned()];
            let text = serde_json::to_string(&Problem::from(&failure)).unwrap();
            let read: Problem = serde_json::from_str(&text).unwrap();
            assert_eq!(Failure::from(&read), failure);
            assert_eq!(read.status, outcome(code).http);
        }
    }
}
