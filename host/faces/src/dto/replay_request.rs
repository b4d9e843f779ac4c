//! A replay of a letter, as it is asked for.

use fusebox_core::ids::LetterId;
use fusebox_engine::requests::{Begin, Replay};
use fusebox_manifest::units;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How a letter is replayed; an empty object goes on at the resume point.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplayRequest {
    /// `resume-point`, `start`, `effect` or `input`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// The effect to begin at, with `from: effect`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect: Option<u32>,
    /// Arguments of a new run, with `from: input`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub input: Option<Box<RawValue>>,
    /// Settled effects that may not be repeated, and that are to happen again all the same.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub repeat: Vec<u32>,
    /// Digest of another component over the same journal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub component: Option<String>,
    /// Performs nothing, and says what would be next.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub dry_run: bool,
    /// Shorter deadline than the function's own, such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deadline: Option<String>,
}

impl ReplayRequest {
    /// The request for that replay.
    ///
    /// # Errors
    /// Edited arguments that are no JSON.
    pub fn of(replay: &Replay) -> Result<Self, serde_json::Error> {
        let (from, effect, input) = match &replay.from {
            Begin::ResumePoint => (None, None, None),
            Begin::Start => (Some("start"), None, None),
            Begin::Effect(seq) => (Some("effect"), Some(*seq), None),
            Begin::Input(text) => (Some("input"), None, Some(RawValue::from_string(text.clone())?)),
        };
        Ok(Self {
            from: from.map(str::to_owned),
            effect,
            input,
            repeat: replay.repeat.clone(),
            component: replay.component.map(|digest| digest.to_string()),
            dry_run: replay.dry_run,
            deadline: replay.deadline.map(|time| format!("{}ms", time.as_millis())),
        })
    }

    /// The replay of that letter that it asks for.
    ///
    /// # Errors
    /// What makes no sense, and what to write instead.
    pub fn replay(self, letter: LetterId) -> Result<Replay, String> {
        let from = match (self.from.as_deref(), self.effect, self.input) {
            (None | Some("resume-point"), None, None) => Begin::ResumePoint,
            (Some("start"), None, None) => Begin::Start,
            (None | Some("effect"), Some(seq), None) => Begin::Effect(seq),
            (None | Some("input"), None, Some(input)) => Begin::Input(input.get().to_owned()),
            (Some("effect"), _, _) => {
                return Err("`from: effect` takes `effect`, its number, and no `input`".to_owned());
            }
            (Some("input"), _, _) => {
                return Err("`from: input` takes `input`, the arguments, and no `effect`".to_owned());
            }
            (Some("start" | "resume-point"), _, _) | (None, _, _) => {
                return Err("`effect` goes with `from: effect`, `input` with `from: input`".to_owned());
            }
            (Some(other), _, _) => {
                return Err(format!(
                    "`from` is `resume-point`, `start`, `effect` or `input`, not `{other}`"
                ));
            }
        };
        let component = self.component.map(|text| text.parse()).transpose();
        let deadline = self.deadline.map(|text| units::duration(&text)).transpose();
        Ok(Replay {
            letter,
            deadline: deadline.map_err(|problem| format!("`deadline`: {problem}"))?,
            from,
            repeat: self.repeat,
            component: component.map_err(|error| format!("`component`: {error}"))?,
            dry_run: self.dry_run,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_core::time::Wall;
    use std::time::Duration;

    #[test]
    fn every_replay_survives_the_way() {
        for from in [
            Begin::ResumePoint,
            Begin::Start,
            Begin::Effect(28),
            Begin::Input("{\"n\": 9007199254740993}".to_owned()),
        ] {
            let replay = Replay {
                letter: LetterId::new(Wall(1), 1),
                deadline: Some(Duration::from_millis(1500)),
                from,
                repeat: vec![3],
                component: Some(fusebox_engine::requests::digest_of(b"x")),
                dry_run: true,
            };
            let text = serde_json::to_string(&ReplayRequest::of(&replay).unwrap()).unwrap();
            let read: ReplayRequest = serde_json::from_str(&text).unwrap();
            let back = read.replay(replay.letter.clone()).unwrap();
            assert_eq!(format!("{back:?}"), format!("{replay:?}"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            r#"{"from":"start","effect":3}"#,
            r#"{"from":"effect"}"#,
            r#"{"from":"input"}"#,
            r#"{"from":"elsewhere"}"#,
            r#"{"effect":1,"input":{}}"#,
            r#"{"component":"sha1:00"}"#,
            r#"{"deadline":"soon"}"#,
        ] {
            let read: ReplayRequest = serde_json::from_str(text).unwrap();
            assert!(read.replay(LetterId::new(Wall(1), 1)).is_err(), "{text}");
        }
    }
}
