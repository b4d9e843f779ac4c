//! Problem details (RFC 9457) of a host, as the failure that they were made of.

use crate::deploying::Refused;
use crate::dto::deployment::Growth;
use crate::dto::finding::Finding;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::time::Wall;
use fusebox_manifest::diagnostic::Diagnostic;
use serde::Deserialize;
use std::time::Duration;

/// What a host says that did not do what it was asked. What a newer host says besides is left aside.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Problem {
    code: String,
    class: Option<String>,
    detail: Option<String>,
    title: Option<String>,
    service: Option<String>,
    case: Option<String>,
    error: Option<String>,
    retry_after_ms: Option<u64>,
    not_before: Option<i64>,
    run: Option<String>,
    letter: Option<String>,
    approval: Option<String>,
    chain: Vec<String>,
    findings: Vec<Finding>,
    grew: Vec<Growth>,
}

impl Problem {
    /// Reads the body of an answer; `None` when it is no problem of a Fusebox.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let problem: Self = serde_json::from_slice(body).ok()?;
        Some(problem).filter(|problem| !problem.code.is_empty())
    }

    /// The failure that it tells of.
    pub(super) fn failure(&self) -> Box<Failure> {
        let known = Code::from_name(&self.code);
        let told = self.detail.clone().or_else(|| self.title.clone()).unwrap_or_default();
        let message = match known {
            Some(_) => told,
            // A code of a newer host: its words are what there is.
            None => format!("{}: {told}", self.code),
        };
        let class = self.class.as_deref().and_then(Class::from_name);
        let mut failure = Failure::new(known.unwrap_or(Code::Internal), class.unwrap_or(Class::Fault), message);
        failure.service.clone_from(&self.service);
        failure.case.clone_from(&self.case);
        failure.error.clone_from(&self.error);
        failure.retry_after = self.retry_after_ms.map(Duration::from_millis);
        failure.not_before = self.not_before.map(Wall);
        failure.run = self.run.as_deref().and_then(|id| id.parse().ok());
        failure.letter = self.letter.as_deref().and_then(|id| id.parse().ok());
        failure.approval = self.approval.as_deref().and_then(|id| id.parse().ok());
        failure.chain.clone_from(&self.chain);
        Box::new(failure)
    }

    /// Why nothing was deployed.
    pub(super) fn refused(self) -> Refused {
        if !self.findings.is_empty() {
            return Refused::Findings(self.findings.iter().map(Diagnostic::from).collect());
        }
        if !self.grew.is_empty() {
            return Refused::Grew(self.grew);
        }
        Refused::Failure(self.failure())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_core::ids::{LetterId, RunId};
    use fusebox_engine::records::FailureRecord;
    use serde_json::json;

    #[test]
    fn a_failure_survives_the_way() {
        let mut failure = Failure::new(Code::UpstreamFailed, Class::Throttled, "llm asked for fewer requests");
        failure.service = Some("llm".to_owned());
        failure.case = Some("busy".to_owned());
        failure.error = Some("{\"n\":18446744073709551615}".to_owned());
        failure.retry_after = Some(Duration::from_secs(7));
        failure.not_before = Some(Wall(9));
        failure.run = Some(RunId::new(Wall(1), 1));
        failure.letter = Some(LetterId::new(Wall(2), 2));
        failure.chain = vec!["429".to_owned()];
        let mut body = json!(FailureRecord::from(&failure));
        body["detail"] = json!(failure.message);
        body["status"] = json!(502);
        body["a-field-of-tomorrow"] = json!([1]);
        let read = Problem::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(*read.failure(), failure);
    }

    #[test]
    fn what_is_no_problem_of_ours_is_none() {
        for body in ["", "<html>", "[]", "{}", "{\"error\":\"nope\"}"] {
            assert!(Problem::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn a_code_of_a_newer_host_is_told_in_words() {
        let read = Problem::read(br#"{"code":"out-of-ink","detail":"no ink"}"#).unwrap();
        assert_eq!(read.failure().message, "out-of-ink: no ink");
    }
}
