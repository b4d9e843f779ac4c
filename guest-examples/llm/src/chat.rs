//! The part of the OpenAI chat completions API that is used here.

use crate::exports::example::llm::llm::Completion;
use serde::{Deserialize, Serialize};

/// The body of `POST /v1/chat/completions`.
#[derive(Serialize)]
pub(crate) struct Question {
    model: String,
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

impl Question {
    pub(crate) fn new(model: String, system: Option<String>, prompt: String) -> Self {
        let system = system.map(|content| Message {
            role: "system",
            content,
        });
        let prompt = Message {
            role: "user",
            content: prompt,
        };
        Self {
            model,
            messages: system.into_iter().chain([prompt]).collect(),
        }
    }
}

/// The body of its answer.
#[derive(Deserialize)]
pub(crate) struct Answer {
    model: String,
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Choice {
    message: Reply,
    finish_reason: String,
}

#[derive(Deserialize)]
struct Reply {
    content: Option<String>,
}

/// Compatible providers may leave it out.
#[derive(Default, Deserialize)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
}

impl Answer {
    /// The first choice, if it has text.
    pub(crate) fn into_completion(self) -> Option<Completion> {
        let choice = self.choices.into_iter().next()?;
        Some(Completion {
            text: choice.message.content?,
            model: self.model,
            finish_reason: choice.finish_reason,
            prompt_tokens: self.usage.prompt_tokens,
            completion_tokens: self.usage.completion_tokens,
        })
    }
}
