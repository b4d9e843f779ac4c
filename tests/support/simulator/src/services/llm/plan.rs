//! What a model that knows a few words makes of "search breakers then compute 2 * 21 then mail ann@example.com": one call after the other.

use super::chat::{Call, Completion, Tool};
use serde_json::{Map, Value, json};

/// Words that a step can begin with, and what the name of a function has in it that does it.
const VERBS: [(&[&str], &[&str]); 4] = [
    (&["search", "find", "look"], &["search", "find", "query"]),
    (&["compute", "calculate", "evaluate"], &["calc", "evaluate", "compute"]),
    (&["mail", "email", "send"], &["mail", "send"]),
    (&["count"], &["count"]),
];

/// Words between a verb and its object.
const FILLERS: [&str; 4] = ["for", "up", "to", "and"];

/// What comes next.
pub(super) enum Next<'a> {
    /// A step.
    Call(Wish<'a>),
    /// Nothing: every step was taken, or one failed. What to say about it.
    Done(String),
    /// The prompt asks for no step that one of the functions takes.
    NoPlan,
}

/// A call that the model has in mind.
pub(super) struct Wish<'a> {
    tool: &'a Tool,
    /// What the user said about it.
    about: String,
    /// What came of the steps before.
    known: Vec<String>,
}

/// The next step of a conversation.
pub(super) fn next(completion: &Completion) -> Next<'_> {
    let steps: Vec<_> = clauses(completion.prompt())
        .filter_map(|clause| step(&clause, &completion.tools))
        .collect();
    let outcomes = completion.outcomes();
    if let Some((function, outcome)) = outcomes.iter().find(|(_, outcome)| is_error(outcome)) {
        return Next::Done(format!("Not everything was done. {function}: {outcome}"));
    }
    if steps.is_empty() && outcomes.is_empty() {
        return Next::NoPlan;
    }
    match steps.into_iter().nth(outcomes.len()) {
        Some((tool, about)) => Next::Call(Wish {
            tool,
            about,
            known: outcomes.iter().map(|(_, outcome)| (*outcome).to_owned()).collect(),
        }),
        None => {
            let lines = outcomes
                .iter()
                .map(|(function, outcome)| format!("\n{function}: {outcome}"));
            Next::Done(format!("Done.{}", lines.collect::<String>()))
        }
    }
}

/// The parts of a prompt between "then", ";" and line breaks.
fn clauses(prompt: &str) -> impl Iterator<Item = String> {
    let mut clauses = vec![Vec::new()];
    for word in prompt.replace([';', '\n'], " then ").split_whitespace() {
        if word.eq_ignore_ascii_case("then") {
            clauses.push(Vec::new());
        } else if let Some(clause) = clauses.last_mut() {
            clause.push(word.to_owned());
        }
    }
    clauses
        .into_iter()
        .map(|words| words.join(" ").trim_end_matches([',', '.']).to_owned())
}

/// The function that a clause asks for, and what it says besides; the verb is one of the first three words ("please", "and then", …).
fn step<'a>(clause: &str, tools: &'a [Tool]) -> Option<(&'a Tool, String)> {
    let words: Vec<&str> = clause.split_whitespace().collect();
    for (at, word) in words.iter().take(3).enumerate() {
        let word = word.trim_end_matches([',', ':']).to_lowercase();
        let Some((_, named)) = VERBS.iter().find(|(verbs, _)| verbs.contains(&word.as_str())) else {
            continue;
        };
        let does = |tool: &&Tool| {
            named
                .iter()
                .any(|part| tool.function.name.to_lowercase().contains(part))
        };
        let tool = tools.iter().find(does)?;
        let about = words[at + 1..]
            .iter()
            .skip_while(|word| FILLERS.contains(&word.to_lowercase().as_str()));
        let about: Vec<&str> = about.copied().collect();
        return Some((tool, about.join(" ")));
    }
    None
}

/// Whether a tool told an error: an object with the property.
fn is_error(outcome: &str) -> bool {
    serde_json::from_str::<Value>(outcome).is_ok_and(|outcome| outcome.get("error").is_some())
}

impl<'a> Wish<'a> {
    /// A call of a function about a text.
    pub(super) fn of(tool: &'a Tool, about: &str) -> Self {
        Self {
            tool,
            about: about.to_owned(),
            known: Vec::new(),
        }
    }

    /// Whether it is a call of that function.
    pub(super) fn calls(&self, name: &str) -> bool {
        self.tool.function.name == name
    }

    /// The call, with arguments for all that the schema requires.
    pub(super) fn call(&self, number: usize) -> Call {
        let schema = &self.tool.function.parameters;
        let required = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let arguments: Map<_, _> = required
            .map(|name| (name.to_owned(), self.argument(name, &schema["properties"][name])))
            .collect();
        Call::new(number, &self.tool.function.name, Value::Object(arguments).to_string())
    }

    fn argument(&self, name: &str, schema: &Value) -> Value {
        let is_address = |word: &&str| word.contains('@');
        let words = || self.about.split_whitespace();
        match (name, schema["type"].as_str()) {
            ("to", _) => json!(words().find(is_address).unwrap_or("someone@example.com")),
            ("subject", _) => match words().filter(|word| !is_address(word)).collect::<Vec<_>>() {
                none if none.is_empty() => json!("Results"),
                words => json!(words.join(" ")),
            },
            ("body", _) if !self.known.is_empty() => json!(self.known.join("\n")),
            (_, Some("integer" | "number")) => json!(words().find_map(|word| word.parse::<i64>().ok()).unwrap_or(1)),
            (_, Some("boolean")) => json!(true),
            _ => json!(self.about),
        }
    }
}
