//! What a guest asked for and what it got, for a person.

use crate::effects::answers;
use crate::journal::Entry;
use crate::ports::sandbox::{Ask, Called, EffectError, Got, Scope, StateAsk, Target};
use fusebox_core::classify;
use serde::{Deserialize, Serialize};

/// Bytes of a body that are shown.
const BODY: usize = 4 << 10;

/// One side of an effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Message {
    /// Its first line: `POST https://api.example/v1/mail`, `503`, `calculator.evaluate`.
    pub head: String,
    /// Headers in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub headers: Vec<(String, String)>,
    /// Its body or arguments as text, cut at 4 KiB; what is no UTF-8 is hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub body: String,
    /// Bytes of the body.
    pub size: usize,
}

/// One effect of the replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exchange {
    /// Its number.
    pub seq: u32,
    /// Name of its kind.
    pub kind: String,
    /// The service that it went to; empty when it went to none.
    pub service: String,
    /// What the guest asked for, as it asks in the replay.
    pub asked: Message,
    /// The evidence: `200`, `not-sent: refused`, `lost: reset`, `denied`; `none` when the journal knows no end of it.
    pub answer: String,
    /// Whether it failed: it, or the upstream.
    pub failed: bool,
    /// Whether it may be repeated.
    pub repeatable: bool,
    /// What the guest got.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub got: Option<Message>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Milliseconds that it took when it was performed.
    pub took_ms: u64,
    /// Frames of the guest when it asked, innermost first; empty where nobody looked.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub stack: Vec<String>,
}

/// An effect as the guest asks for it, and as the journal has it.
pub(super) fn exchange(seq: u32, ask: &Ask, entry: Option<&Entry>) -> Exchange {
    let effect = entry.map(|entry| &entry.effect);
    let settled = entry.and_then(|entry| entry.settled.as_ref());
    Exchange {
        seq,
        kind: crate::effects::identity(ask).kind.name().to_owned(),
        service: effect.map_or_else(String::new, |effect| effect.service.to_string()),
        asked: asked(ask),
        answer: match (effect, settled) {
            (Some(effect), Some(_)) => answers::shown(effect.answer.as_ref()),
            _ => "none".to_owned(),
        },
        failed: effect.is_some_and(classify::has_failed),
        repeatable: effect.is_none_or(|effect| effect.repeatable),
        got: settled.map(|settled| got(&settled.got)),
        reason: settled.and_then(|settled| settled.reason.clone()),
        took_ms: effect.map_or(0, |effect| crate::records::millis(effect.took)),
        stack: Vec::new(),
    }
}

fn asked(ask: &Ask) -> Message {
    match ask {
        Ask::Http(request) => {
            let scheme = if request.tls { "https" } else { "http" };
            let head = format!("{} {scheme}://{}{}", request.method, request.authority, request.path);
            message(head, &request.headers, &request.body)
        }
        Ask::Timer { after } => bare(format!("wait {}", crate::refusals::shown(*after))),
        Ask::Call { target, input } => {
            let head = match target {
                Target::Named { tool, function } => format!("call {tool}.{function}"),
                Target::Linked { interface, function } => format!("call {interface}#{function}"),
            };
            message(head, &[], input.as_bytes())
        }
        Ask::State { scope, ask } => {
            let whose = match scope {
                Scope::Tool => "the tool's",
                Scope::Run => "the run's",
            };
            match ask {
                StateAsk::Get { key } => bare(format!("get {whose} `{key}`")),
                StateAsk::Set { key, value: None } => bare(format!("remove {whose} `{key}`")),
                StateAsk::Set {
                    key,
                    value: Some(value),
                } => message(format!("set {whose} `{key}`"), &[], value),
                StateAsk::List { prefix } => bare(format!("list {whose} keys from `{prefix}`")),
            }
        }
        Ask::Tools => bare("list the tools".to_owned()),
        Ask::Describe { tool, function } => bare(format!("describe {tool}.{function}")),
        Ask::Context => bare("ask what run this is".to_owned()),
        Ask::Approval { question, details } => message(format!("ask a person: {question}"), &[], details.as_bytes()),
    }
}

fn got(got: &Got) -> Message {
    match got {
        Got::Http(Ok(answer)) => message(answer.status.to_string(), &answer.headers, &answer.body),
        Got::Http(Err(error)) => bare(
            match error {
                EffectError::Denied => "an error: denied",
                EffectError::NotSent(_) => "an error: nothing was sent",
                EffectError::Lost(_) => "an error: sent, and no whole answer came",
                EffectError::Ended => "an error: the attempt is over",
            }
            .to_owned(),
        ),
        Got::Timer => bare("the time is over".to_owned()),
        Got::Call(Called::Ok(json)) => message("ok".to_owned(), &[], json.as_bytes()),
        Got::Call(Called::Err { case, json }) => {
            let case = case.as_ref().map_or_else(String::new, |case| format!(" `{case}`"));
            message(format!("the error{case} of the function"), &[], json.as_bytes())
        }
        Got::Call(Called::Failed {
            code,
            class,
            message: why,
            ..
        }) => message(format!("failed: {code} ({class})"), &[], why.as_bytes()),
        Got::Value(Some(value)) => message("a value".to_owned(), &[], value),
        Got::Value(None) => bare("no value".to_owned()),
        Got::Keys(keys) => message(format!("{} key(s)", keys.len()), &[], keys.join("\n").as_bytes()),
        Got::Tools(tools) => {
            let names: Vec<_> = tools
                .iter()
                .map(|offered| format!("{}.{}", offered.tool, offered.function))
                .collect();
            message(format!("{} function(s)", names.len()), &[], names.join("\n").as_bytes())
        }
        Got::Described(Some(json)) => message("schemas".to_owned(), &[], json.as_bytes()),
        Got::Described(None) => bare("no such function".to_owned()),
        Got::Context(told) => bare(format!("run {}, attempt {}", told.run, told.attempt)),
        Got::Approval(Ok(())) => bare("agreed".to_owned()),
        Got::Approval(Err(why)) => bare(format!("declined: {why}")),
        Got::Refused(why) => bare(format!("refused: {why}")),
    }
}

fn bare(head: String) -> Message {
    Message {
        head,
        ..Message::default()
    }
}

fn message(head: String, headers: &[(String, Vec<u8>)], body: &[u8]) -> Message {
    let headers = headers.iter();
    Message {
        head,
        headers: headers
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect(),
        body: shown(body),
        size: body.len(),
    }
}

fn shown(body: &[u8]) -> String {
    let part = body.get(..BODY.min(body.len())).unwrap_or_default();
    match std::str::from_utf8(part) {
        Ok(text) => text.to_owned(),
        // A character that the cut goes through.
        Err(error) if error.error_len().is_none() => String::from_utf8_lossy(&part[..error.valid_up_to()]).into_owned(),
        Err(_) => super::pointers::hex(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_text_where_it_can_be_and_cut_between_characters() {
        assert_eq!(shown("héllo".as_bytes()), "héllo");
        assert_eq!(shown(&[0xff, 0x00]), "ff00");
        let long = format!("{}é", "x".repeat(BODY - 1));
        assert_eq!(shown(long.as_bytes()), "x".repeat(BODY - 1));
    }
}
