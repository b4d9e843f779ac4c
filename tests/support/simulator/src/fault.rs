//! Scripted faults: how they are written in JSON, and the queue in which each service takes them.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Where a connection is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetAt {
    /// After the request was read; nothing is done.
    BeforeAnswer,
    /// After the work was done and half of the answer's body was sent.
    MidBody,
}

/// One way to fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Spelling", into = "Spelling")]
pub enum Fault {
    /// Answers with that status instead of doing the work.
    Status {
        /// HTTP status.
        status: u16,
        /// Value of a Retry-After header, as it is.
        retry_after: Option<String>,
        /// Body; a small JSON object when absent.
        body: Option<String>,
    },
    /// Waits so many milliseconds, then answers as usual.
    Delay(u64),
    /// Resets the connection.
    Reset(ResetAt),
    /// Does the work, then resets the connection without an answer.
    ExecuteThenReset,
    /// Does the work, then answers with that status.
    ExecuteThenStatus(u16),
    /// Reads the request and never answers; nothing is done.
    Hang,
    /// Nobody listens, for as long as this stands first in the script; open connections are closed.
    Refuse,
    /// Does the work and sends the body a byte at a time, with so many milliseconds before each.
    Trickle(u64),
    /// Does the work, declares a body so many bytes longer than it is, and closes.
    LieLength(usize),
}

/// The JSON object of a fault.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Spelling {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<ResetAt>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    execute_then_reset: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    execute_then_status: Option<u16>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hang: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refuse: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trickle_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lie_length: Option<usize>,
}

impl TryFrom<Spelling> for Fault {
    type Error = String;

    fn try_from(spelling: Spelling) -> Result<Self, String> {
        let (retry_after, body) = (spelling.retry_after, spelling.body);
        let decorated = retry_after.is_some() || body.is_some();
        let kinds = [
            spelling.status.map(|status| Self::Status {
                status,
                retry_after,
                body,
            }),
            spelling.delay_ms.map(Self::Delay),
            spelling.reset.map(Self::Reset),
            spelling.execute_then_reset.then_some(Self::ExecuteThenReset),
            spelling.execute_then_status.map(Self::ExecuteThenStatus),
            spelling.hang.then_some(Self::Hang),
            spelling.refuse.then_some(Self::Refuse),
            spelling.trickle_ms.map(Self::Trickle),
            spelling.lie_length.map(Self::LieLength),
        ];
        let mut given = kinds.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(fault), None) => fault.checked(decorated),
            (None, _) => Err("a fault needs one of status, delay-ms, reset, execute-then-reset, execute-then-status, hang, refuse, trickle-ms, lie-length".to_owned()),
            (Some(_), Some(_)) => Err("a fault is of one kind; script two faults to have two".to_owned()),
        }
    }
}

impl Fault {
    fn checked(self, decorated: bool) -> Result<Self, String> {
        let plain = match &self {
            Self::Status { status, .. } | Self::ExecuteThenStatus(status) if !(200..=599).contains(status) => {
                return Err(format!("{status} is not a final HTTP status (200 to 599)"));
            }
            Self::Status { retry_after, .. } => {
                if retry_after.as_deref().is_some_and(|value| value.contains(['\r', '\n'])) {
                    return Err("retry-after has a line break".to_owned());
                }
                return Ok(self);
            }
            _ => !decorated,
        };
        if plain {
            Ok(self)
        } else {
            Err("retry-after and body belong to status".to_owned())
        }
    }
}

impl From<Fault> for Spelling {
    fn from(fault: Fault) -> Self {
        let mut spelling = Self::default();
        match fault {
            Fault::Status {
                status,
                retry_after,
                body,
            } => {
                spelling.status = Some(status);
                spelling.retry_after = retry_after;
                spelling.body = body;
            }
            Fault::Delay(millis) => spelling.delay_ms = Some(millis),
            Fault::Reset(at) => spelling.reset = Some(at),
            Fault::ExecuteThenReset => spelling.execute_then_reset = true,
            Fault::ExecuteThenStatus(status) => spelling.execute_then_status = Some(status),
            Fault::Hang => spelling.hang = true,
            Fault::Refuse => spelling.refuse = true,
            Fault::Trickle(millis) => spelling.trickle_ms = Some(millis),
            Fault::LieLength(more) => spelling.lie_length = Some(more),
        }
        spelling
    }
}

/// Faults of one service, taken from the front, one by each request.
#[derive(Debug, Default)]
pub(crate) struct Script(VecDeque<(Fault, Option<u64>)>);

impl Script {
    /// Adds a fault for that many requests; `None`: until it is cleared.
    pub(crate) fn push(&mut self, fault: Fault, times: Option<u64>) -> Result<(), String> {
        if times == Some(0) {
            return Err("times is at least 1".to_owned());
        }
        if fault == Fault::Refuse && times.is_some() {
            return Err("a refused connection cannot be counted: leave times out, and clear the fault".to_owned());
        }
        self.0.push_back((fault, times));
        Ok(())
    }

    /// The fault of the next request.
    pub(crate) fn take(&mut self) -> Option<Fault> {
        let (fault, times) = self.0.front_mut()?;
        let taken = fault.clone();
        if let Some(left) = times {
            *left -= 1;
            if *left == 0 {
                self.0.pop_front();
            }
        }
        Some(taken)
    }

    /// Whether nobody should listen now.
    pub(crate) fn refuses(&self) -> bool {
        matches!(self.0.front(), Some((Fault::Refuse, _)))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_is_read_and_written_alike() {
        for text in [
            json!({"status": 503, "retry-after": "2", "body": "…"}),
            json!({"status": 404}),
            json!({"delay-ms": 500}),
            json!({"reset": "before-answer"}),
            json!({"reset": "mid-body"}),
            json!({"execute-then-reset": true}),
            json!({"execute-then-status": 504}),
            json!({"hang": true}),
            json!({"refuse": true}),
            json!({"trickle-ms": 50}),
            json!({"lie-length": 10}),
        ] {
            let fault: Fault = serde_json::from_value(text.clone()).unwrap();
            assert_eq!(serde_json::to_value(fault).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            json!({}),
            json!({"hang": false}),
            json!({"hang": true, "refuse": true}),
            json!({"status": 99}),
            json!({"status": 100}),
            json!({"execute-then-status": 600}),
            json!({"status": 503, "retry-after": "2\r\nx: y"}),
            json!({"delay-ms": 5, "body": "x"}),
            json!({"reset": "sometime"}),
            json!({"explode": true}),
        ] {
            assert!(serde_json::from_value::<Fault>(text.clone()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_script_is_taken_in_order_and_as_often_as_told() {
        let mut script = Script::default();
        script.push(Fault::Delay(1), Some(2)).unwrap();
        script.push(Fault::Hang, None).unwrap();
        let taken: Vec<_> = (0..4).map(|_| script.take().unwrap()).collect();
        assert_eq!(taken, [Fault::Delay(1), Fault::Delay(1), Fault::Hang, Fault::Hang]);
        assert!(script.push(Fault::Delay(1), Some(0)).is_err());
        assert!(script.push(Fault::Refuse, Some(1)).is_err());
        script.clear();
        assert_eq!(script.take(), None);
    }
}
