//! A call that went well, with its result as it was written.

use fusebox_core::run::State;
use fusebox_engine::requests::Reply;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A call that went well.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CallReply {
    /// The result; `null` for a call that nobody waits for. 64-bit integers are written out: a reader that has doubles alone has to look.
    #[schema(value_type = Option<serde_json::Value>)]
    pub output: Option<Box<RawValue>>,
    /// Its run; `null` when the function's durability is `none`.
    pub run: Option<String>,
    /// `succeeded`, or `accepted` for a call that nobody waits for.
    pub state: String,
    /// Whether it is the stored outcome of an earlier call with the same key, or of an earlier replay.
    pub stored: bool,
    /// Attempts that this call took; 0 when it is a stored outcome.
    pub attempts: u32,
    /// Numbers of effects that are in doubt although the function returned well.
    pub in_doubt: Vec<u32>,
    /// The letter that was replayed before: its run's stored outcome is this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replayed: Option<String>,
}

impl TryFrom<&Reply> for CallReply {
    type Error = serde_json::Error;

    fn try_from(reply: &Reply) -> Result<Self, serde_json::Error> {
        let output = Some(reply.output.as_str()).filter(|output| !output.is_empty());
        Ok(Self {
            output: output
                .map(|output| RawValue::from_string(output.to_owned()))
                .transpose()?,
            run: reply.run.as_ref().map(ToString::to_string),
            state: reply.state.name().to_owned(),
            stored: reply.stored,
            attempts: reply.attempts,
            in_doubt: reply.in_doubt.clone(),
            replayed: reply.replayed.as_ref().map(ToString::to_string),
        })
    }
}

impl TryFrom<CallReply> for Reply {
    type Error = String;

    fn try_from(reply: CallReply) -> Result<Self, String> {
        let state = State::from_name(&reply.state).ok_or_else(|| format!("`{}` is no state of a run", reply.state))?;
        // The result of a function that returns nothing is `null`; of a call that nobody waits for there is none.
        let output = match (reply.output, state) {
            (Some(output), _) => output.get().to_owned(),
            (None, State::Accepted) => String::new(),
            (None, _) => "null".to_owned(),
        };
        Ok(Self {
            run: reply.run.map(|run| run.parse()).transpose().map_err(told)?,
            state,
            output,
            stored: reply.stored,
            attempts: reply.attempts,
            in_doubt: reply.in_doubt,
            replayed: reply.replayed.map(|letter| letter.parse()).transpose().map_err(told)?,
        })
    }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_core::ids::{LetterId, RunId};
    use fusebox_core::time::Wall;

    fn there_and_back(reply: &Reply) -> Reply {
        let text = serde_json::to_string(&CallReply::try_from(reply).unwrap()).unwrap();
        let read: CallReply = serde_json::from_str(&text).unwrap();
        Reply::try_from(read).unwrap()
    }

    #[test]
    fn a_result_travels_as_it_was_written() {
        let mut reply = Reply {
            run: Some(RunId::new(Wall(1), 1)),
            state: State::Succeeded,
            output: "{\"big\":18446744073709551615,\"z\":1.10,\"a\":-9223372036854775808}".to_owned(),
            stored: true,
            attempts: 3,
            in_doubt: vec![2, 7],
            replayed: Some(LetterId::new(Wall(2), 2)),
        };
        assert_eq!(there_and_back(&reply), reply);
        reply.output = "null".to_owned();
        assert_eq!(there_and_back(&reply), reply);
    }

    #[test]
    fn a_call_that_nobody_waits_for_has_no_result() {
        let reply = Reply {
            run: Some(RunId::new(Wall(1), 1)),
            state: State::Accepted,
            output: String::new(),
            stored: false,
            attempts: 0,
            in_doubt: Vec::new(),
            replayed: None,
        };
        assert_eq!(there_and_back(&reply), reply);
    }
}
