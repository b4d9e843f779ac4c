//! What a model is told to say, in the order of being asked: for decisions that no sensible model would make.

use super::Said;
use super::chat::Call;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptedMessage {
    /// Its text.
    pub content: Option<String>,
    /// Functions that it asks for.
    pub tool_calls: Vec<ScriptedCall>,
}

/// A function that a message asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// Its name, offered or not.
    pub name: String,
    /// Its arguments; a string is sent as it is, so that it need not be JSON.
    pub arguments: Value,
}

impl ScriptedMessage {
    /// A message that is nothing but text.
    #[must_use]
    pub fn text(content: &str) -> Self {
        Self {
            content: Some(content.to_owned()),
            tool_calls: Vec::new(),
        }
    }

    /// A message that asks for one function.
    #[must_use]
    pub fn call(name: &str, arguments: Value) -> Self {
        let name = name.to_owned();
        Self {
            content: None,
            tool_calls: vec![ScriptedCall { name, arguments }],
        }
    }

    /// Whether it says anything at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.is_none() && self.tool_calls.is_empty()
    }

    /// As the model says it; `before` calls were made in this conversation.
    pub(super) fn said(self, before: usize) -> Said {
        let calls = self.tool_calls.into_iter().enumerate().map(|(at, call)| {
            let arguments = match call.arguments {
                Value::String(text) => text,
                value => value.to_string(),
            };
            Call::new(before + at, &call.name, arguments)
        });
        Said {
            calls: calls.collect(),
            text: self.content,
        }
    }
}
