//! What a guest got for an effect, as data of a journal, and back.

use crate::ports::sandbox::{Called, EffectError, Got, Offered, Told};
use crate::ports::transport::Incoming;
use bytes::Bytes;
use fusebox_core::effect::{Answer, Lost, NotSent};
use fusebox_core::failure::Class;
use serde::{Deserialize, Serialize};

/// [`Got`] without its body.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Head {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
    },
    NoAnswer(String),
    Timer,
    Call(Called),
    Value,
    NoValue,
    Keys(Vec<String>),
    Tools(Vec<Offered>),
    Described(Option<String>),
    Context(Told),
    Approved,
    Declined(String),
    Refused(String),
}

/// What was got as JSON, and its body.
pub(crate) fn write(got: &Got) -> (serde_json::Value, Bytes) {
    let mut body = Bytes::new();
    let head = match got {
        Got::Http(Ok(incoming)) => {
            body = incoming.body.clone();
            let headers = incoming.headers.iter();
            Head::Answer {
                status: incoming.status,
                headers: headers.map(|(name, value)| (name.clone(), latin1(value))).collect(),
            }
        }
        Got::Http(Err(error)) => Head::NoAnswer(shown(Some(&answer_of(error)))),
        Got::Timer => Head::Timer,
        Got::Call(called) => Head::Call(called.clone()),
        Got::Value(Some(value)) => {
            body = value.clone();
            Head::Value
        }
        Got::Value(None) => Head::NoValue,
        Got::Keys(keys) => Head::Keys(keys.clone()),
        Got::Tools(tools) => Head::Tools(tools.clone()),
        Got::Described(described) => Head::Described(described.clone()),
        Got::Context(told) => Head::Context(told.clone()),
        Got::Approval(Ok(())) => Head::Approved,
        Got::Approval(Err(why)) => Head::Declined(why.clone()),
        Got::Refused(why) => Head::Refused(why.clone()),
    };
    // A value of these types has no map whose key is no string: it always serializes.
    (serde_json::to_value(&head).unwrap_or_default(), body)
}

/// What was got, from its JSON and its body.
///
/// # Errors
/// JSON that this version does not understand.
pub(crate) fn read(head: serde_json::Value, body: Bytes) -> Result<Got, String> {
    let head: Head = serde_json::from_value(head).map_err(|error| error.to_string())?;
    Ok(match head {
        Head::Answer { status, headers } => Got::Http(Ok(Incoming {
            status,
            headers: headers.into_iter().map(|(name, value)| (name, bytes(&value))).collect(),
            body,
        })),
        Head::NoAnswer(text) => Got::Http(Err(error_of(
            &read_answer(&text).ok_or_else(|| format!("`{text}` is no answer"))?,
        ))),
        Head::Timer => Got::Timer,
        Head::Call(called) => Got::Call(called),
        Head::Value => Got::Value(Some(body)),
        Head::NoValue => Got::Value(None),
        Head::Keys(keys) => Got::Keys(keys),
        Head::Tools(tools) => Got::Tools(tools),
        Head::Described(described) => Got::Described(described),
        Head::Context(told) => Got::Context(told),
        Head::Approved => Got::Approval(Ok(())),
        Head::Declined(why) => Got::Approval(Err(why)),
        Head::Refused(why) => Got::Refused(why),
    })
}

/// Header values are bytes; each is the character of that number (ISO 8859-1), so that they survive as text.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}

fn answer_of(error: &EffectError) -> Answer {
    match error {
        EffectError::Denied => Answer::Denied,
        EffectError::NotSent(kind) => Answer::NotSent(*kind),
        EffectError::Lost(kind) => Answer::Lost(*kind),
        EffectError::Ended => Answer::Cancelled,
    }
}

fn error_of(answer: &Answer) -> EffectError {
    match answer {
        Answer::NotSent(kind) => EffectError::NotSent(*kind),
        Answer::Lost(kind) => EffectError::Lost(*kind),
        Answer::Denied => EffectError::Denied,
        Answer::Status { .. } | Answer::Cancelled | Answer::Done | Answer::Failed { .. } => EffectError::Ended,
    }
}

/// How the answer of an effect begins that never left the host.
const NOT_SENT: &str = "not-sent: ";
/// How one begins that got no whole answer.
const LOST: &str = "lost: ";
/// How the answer of a nested call begins that failed.
const FAILED: &str = "failed: ";
/// The end of an effect that was not sent because its attempt ended.
const ENDED: &str = "the attempt ended";

const NOT_SENT_KINDS: [(NotSent, &str); 7] = [
    (NotSent::Dns, "dns"),
    (NotSent::Refused, "refused"),
    (NotSent::ConnectTimeout, "connect timeout"),
    (NotSent::Tls, "tls"),
    (NotSent::NotWritten, "not written"),
    (NotSent::BreakerOpen, "breaker open"),
    (NotSent::RateLimited, "rate limited"),
];

const LOST_KINDS: [(Lost, &str); 3] = [
    (Lost::Reset, "reset"),
    (Lost::Timeout, "timeout"),
    (Lost::Malformed, "malformed"),
];

fn word<T: PartialEq>(kinds: &[(T, &'static str)], kind: &T) -> &'static str {
    kinds
        .iter()
        .find(|(known, _)| known == kind)
        .map_or("", |(_, word)| word)
}

fn kind<T: Copy>(kinds: &[(T, &str)], word: &str) -> Option<T> {
    kinds.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
}

/// An answer as rows and timelines have it.
pub(crate) fn shown(answer: Option<&Answer>) -> String {
    match answer {
        None => "unknown".to_owned(),
        Some(Answer::Status { status, .. }) => status.to_string(),
        Some(Answer::Denied) => "denied".to_owned(),
        Some(Answer::Cancelled) => format!("{NOT_SENT}{ENDED}"),
        Some(Answer::Done) => "done".to_owned(),
        Some(Answer::Failed { class, .. }) => format!("{FAILED}{class}"),
        Some(Answer::NotSent(kind)) => format!("{NOT_SENT}{}", word(&NOT_SENT_KINDS, kind)),
        Some(Answer::Lost(kind)) => format!("{LOST}{}", word(&LOST_KINDS, kind)),
    }
}

/// The answer that a row has; `None` for one that is unknown. What an upstream said about when to come back is not part of it.
pub(crate) fn read_answer(text: &str) -> Option<Answer> {
    match text {
        "denied" => return Some(Answer::Denied),
        "done" => return Some(Answer::Done),
        _ => {}
    }
    if let Some(why) = text.strip_prefix(NOT_SENT) {
        return match kind(&NOT_SENT_KINDS, why) {
            _ if why == ENDED => Some(Answer::Cancelled),
            kind => Some(Answer::NotSent(kind.unwrap_or(NotSent::NotWritten))),
        };
    }
    if let Some(how) = text.strip_prefix(LOST) {
        return kind(&LOST_KINDS, how).map(Answer::Lost);
    }
    if let Some(class) = text.strip_prefix(FAILED) {
        return Class::from_name(class).map(|class| Answer::Failed { class, hint: None });
    }
    text.parse().ok().map(|status| Answer::Status { status, hint: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_answer_survives_a_row() {
        let not_sent = NOT_SENT_KINDS.map(|(kind, _)| Answer::NotSent(kind));
        let lost = LOST_KINDS.map(|(kind, _)| Answer::Lost(kind));
        let failed = Class::ALL.map(|class| Answer::Failed { class, hint: None });
        let status = [200, 404, 503].map(|status| Answer::Status { status, hint: None });
        let others = [Answer::Denied, Answer::Cancelled, Answer::Done];
        for answer in not_sent
            .into_iter()
            .chain(lost)
            .chain(failed)
            .chain(status)
            .chain(others)
        {
            assert_eq!(read_answer(&shown(Some(&answer))), Some(answer));
        }
        assert_eq!(read_answer(&shown(None)), None);
    }

    #[test]
    fn what_a_guest_got_survives_a_row_byte_by_byte() {
        let every = Bytes::from((0..=255).collect::<Vec<u8>>());
        let answered = Incoming {
            status: 201,
            headers: vec![("x".to_owned(), every.to_vec())],
            body: every.clone(),
        };
        for got in [
            Got::Http(Ok(answered)),
            Got::Http(Err(EffectError::Lost(Lost::Reset))),
            Got::Http(Err(EffectError::NotSent(NotSent::BreakerOpen))),
            Got::Http(Err(EffectError::Denied)),
            Got::Timer,
            Got::Call(Called::Ok("1".to_owned())),
            Got::Value(Some(Bytes::new())),
            Got::Value(Some(every)),
            Got::Value(None),
            Got::Keys(vec!["a".to_owned()]),
            Got::Described(None),
            Got::Approval(Ok(())),
            Got::Approval(Err("no".to_owned())),
            Got::Refused("why".to_owned()),
        ] {
            let (head, body) = write(&got);
            let text = head.to_string();
            assert_eq!(read(serde_json::from_str(&text).unwrap(), body).unwrap(), got);
        }
    }
}
