//! A request for a completion, and the rules of the API that a conversation has to keep.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Longest name of a function, in characters.
const LONGEST_NAME: usize = 64;

/// The body of a request.
#[derive(Deserialize)]
pub(super) struct Completion {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    pub(super) tools: Vec<Tool>,
    #[serde(default)]
    pub(super) tool_choice: Choice,
}

/// One message of the conversation.
#[derive(Deserialize, Hash)]
pub(super) struct Message {
    role: String,
    #[serde(default, deserialize_with = "text")]
    content: Option<String>,
    #[serde(default)]
    tool_calls: Vec<Call>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

/// The content of a message: a text, or a list of parts that are texts, as frameworks send the results of tools.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Content {
        Text(String),
        Parts(Vec<Part>),
    }
    #[derive(Deserialize)]
    struct Part {
        text: String,
    }
    Ok(Option::deserialize(from)?.map(|content| match content {
        Content::Text(text) => text,
        Content::Parts(parts) => parts.into_iter().map(|part| part.text).collect(),
    }))
}

/// A call that the model asked for.
#[derive(Clone, Debug, Deserialize, Hash)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) function: Called,
}

/// What of a call is the function's.
#[derive(Clone, Debug, Deserialize, Hash)]
pub(super) struct Called {
    pub(super) name: String,
    /// JSON as text.
    pub(super) arguments: String,
}

/// A function that the model may ask for.
#[derive(Deserialize)]
pub(super) struct Tool {
    #[serde(rename = "type")]
    kind: String,
    pub(super) function: Function,
}

/// What the model knows of a function.
#[derive(Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    /// JSON Schema of the arguments.
    #[serde(default = "nothing")]
    pub(super) parameters: Value,
}

fn nothing() -> Value {
    json!({"type": "object", "properties": {}})
}

/// Whether the model has to ask for a function.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "Value")]
pub(super) enum Choice {
    /// It must not.
    None,
    /// As it sees fit.
    #[default]
    Auto,
    /// For one, whichever.
    Required,
    /// For this one.
    Function(String),
}

impl TryFrom<Value> for Choice {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let function = value["function"]["name"].as_str();
        match (value.as_str(), function) {
            (Some("none"), _) => Ok(Self::None),
            (Some("auto"), _) => Ok(Self::Auto),
            (Some("required"), _) => Ok(Self::Required),
            (None, Some(name)) if value["type"] == "function" => Ok(Self::Function(name.to_owned())),
            _ => Err(format!("tool_choice cannot be {value}")),
        }
    }
}

impl Completion {
    /// What the API refuses of a request that it understands.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.stream {
            return Err("streaming is not spoken here".to_owned());
        }
        if self.messages.is_empty() {
            return Err("messages is empty".to_owned());
        }
        if self.tools.is_empty() && self.tool_choice != Choice::Auto {
            return Err("tool_choice is only allowed when tools are specified".to_owned());
        }
        if let Choice::Function(name) = &self.tool_choice
            && self.tool(name).is_none()
        {
            return Err(format!("tool_choice names `{name}`, which is not among tools"));
        }
        let mut names = BTreeSet::new();
        for tool in &self.tools {
            tool.check()?;
            if !names.insert(&tool.function.name) {
                return Err(format!("two tools have the name `{}`", tool.function.name));
            }
        }
        self.check_messages()
    }

    /// Each call that the model asked for is answered before anybody says something else.
    fn check_messages(&self) -> Result<(), String> {
        let mut open: BTreeSet<&str> = BTreeSet::new();
        for message in &self.messages {
            if message.role == "tool" {
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                if !open.remove(id) {
                    return Err(format!(
                        "a tool message answers `{id}`, which no tool_calls before it ask for"
                    ));
                }
            } else if let Some(id) = open.first() {
                return Err(format!(
                    "tool_calls must be followed by a tool message for each: `{id}` has none"
                ));
            }
            if message.content.is_none() && message.tool_calls.is_empty() {
                return Err(format!("a message of the {} has no content", message.role));
            }
            open.extend(message.tool_calls.iter().map(|call| call.id.as_str()));
        }
        match open.first() {
            Some(id) => Err(format!(
                "tool_calls must be followed by a tool message for each: `{id}` has none"
            )),
            None => Ok(()),
        }
    }

    /// The last message of that role; empty when there is none.
    pub(super) fn last_of(&self, role: &str) -> &str {
        let message = self.messages.iter().rev().find(|message| message.role == role);
        message
            .and_then(|message| message.content.as_deref())
            .unwrap_or_default()
    }

    /// What the user said last.
    pub(super) fn prompt(&self) -> &str {
        self.last_of("user")
    }

    /// What came of the calls since the user said something: name of the function, and outcome.
    pub(super) fn outcomes(&self) -> Vec<(&str, &str)> {
        let since = self.messages.iter().rposition(|message| message.role == "user");
        let since = &self.messages[since.unwrap_or(0)..];
        let name_of = |id: &str| {
            let mut calls = since.iter().flat_map(|message| &message.tool_calls);
            calls
                .find(|call| call.id == id)
                .map_or("", |call| call.function.name.as_str())
        };
        let outcomes = since.iter().filter_map(|message| {
            let id = message.tool_call_id.as_deref()?;
            Some((name_of(id), message.content.as_deref().unwrap_or_default()))
        });
        outcomes.collect()
    }

    /// How many calls the model has asked for in this conversation.
    pub(super) fn calls_so_far(&self) -> usize {
        self.messages.iter().map(|message| message.tool_calls.len()).sum()
    }

    /// The function of that name.
    pub(super) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.function.name == name)
    }
}

impl Tool {
    fn check(&self) -> Result<(), String> {
        let name = &self.function.name;
        let fit = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.kind != "function" {
            return Err(format!("the type of a tool is \"function\", not {:?}", self.kind));
        }
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(fit) {
            return Err(format!(
                "`{name}` is no name of a function: 1 to {LONGEST_NAME} of a-z, A-Z, 0-9, _ and -"
            ));
        }
        if self.function.parameters["type"] != "object" {
            return Err(format!("the parameters of `{name}` are no schema of an object"));
        }
        Ok(())
    }
}

impl Message {
    /// Its length in words.
    pub(super) fn words(&self) -> usize {
        let calls: usize = self.tool_calls.iter().map(Call::words).sum();
        self.content.as_deref().map_or(0, super::words) + calls
    }
}

impl Call {
    /// The call with that number in its conversation, from 0.
    pub(super) fn new(number: usize, function: &str, arguments: String) -> Self {
        Self {
            id: format!("call_{}", number + 1),
            function: Called {
                name: function.to_owned(),
                arguments,
            },
        }
    }

    /// Its length in words.
    pub(super) fn words(&self) -> usize {
        1 + super::words(&self.function.arguments)
    }

    /// As the API writes it.
    pub(super) fn json(&self) -> Value {
        let Called { name, arguments } = &self.function;
        json!({"id": self.id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }
}
