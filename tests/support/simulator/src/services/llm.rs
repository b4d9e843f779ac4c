//! Chat completions as OpenAI's API has them: the same request always gets the same answer, unless a script says what is said next.

mod chat;
mod plan;
mod script;

use super::authorized;
use crate::http::{Reply, Request};
use chat::{Call, Choice, Completion, Message};
use plan::Wish;
pub use script::{ScriptedCall, ScriptedMessage};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

const TOKEN: &str = "llm-secret";

/// A model.
#[derive(Default)]
pub(crate) struct Llm {
    /// What it says next, whatever it is asked.
    script: VecDeque<ScriptedMessage>,
}

/// What the model says.
struct Said {
    text: Option<String>,
    calls: Vec<Call>,
}

impl Llm {
    pub(crate) fn serve(&mut self, request: &Request) -> Reply {
        if request.route() != "/v1/chat/completions" {
            return failure(404, "there is only /v1/chat/completions");
        }
        if request.method != "POST" {
            return failure(405, "ask with POST").with("allow", "POST");
        }
        if authorized(request, TOKEN).is_err() {
            return failure(401, "Incorrect API key provided.").with("www-authenticate", "Bearer");
        }
        let completion = match serde_json::from_slice::<Completion>(&request.body) {
            Ok(completion) => completion,
            Err(error) => return failure(400, &format!("the body is not understood: {error}")),
        };
        match completion.check() {
            Ok(()) => self.complete(&completion),
            Err(why) => failure(400, &why),
        }
    }

    /// Replaces what the model says next.
    pub(crate) fn follow(&mut self, script: Vec<ScriptedMessage>) {
        self.script = script.into();
    }

    fn complete(&mut self, completion: &Completion) -> Reply {
        let said = match self.script.pop_front() {
            Some(scripted) => scripted.said(completion.calls_so_far()),
            None => of_itself(completion),
        };
        answer(completion, said)
    }
}

/// What the model says without a script.
fn of_itself(completion: &Completion) -> Said {
    let call = |wish: Wish<'_>| Said {
        text: None,
        calls: vec![wish.call(completion.calls_so_far())],
    };
    let text = |text: String| Said {
        text: Some(text),
        calls: Vec::new(),
    };
    let next = plan::next(completion);
    match &completion.tool_choice {
        Choice::None => text(echo(completion)),
        Choice::Auto => match next {
            plan::Next::Call(wish) => call(wish),
            plan::Next::Done(report) => text(report),
            plan::Next::NoPlan => text(echo(completion)),
        },
        Choice::Required => match next {
            plan::Next::Call(wish) => call(wish),
            _ => call(Wish::of(&completion.tools[0], completion.prompt())),
        },
        Choice::Function(name) => match (next, completion.tool(name)) {
            (plan::Next::Call(wish), _) if wish.calls(name) => call(wish),
            (_, Some(tool)) => call(Wish::of(tool, completion.prompt())),
            (_, None) => text(echo(completion)),
        },
    }
}

fn echo(completion: &Completion) -> String {
    let prompt = completion.prompt();
    match completion.last_of("system") {
        "" => format!("You asked: {prompt}"),
        system => format!("You asked: {prompt} (instructed: {system})"),
    }
}

fn answer(completion: &Completion, said: Said) -> Reply {
    let mut hasher = DefaultHasher::new();
    (&completion.model, &completion.messages).hash(&mut hasher);
    let asked: usize = completion.messages.iter().map(Message::words).sum();
    let answered = said.text.as_deref().map_or(0, words) + said.calls.iter().map(Call::words).sum::<usize>();
    let mut message = json!({"role": "assistant", "content": said.text});
    let calls: Vec<Value> = said.calls.iter().map(Call::json).collect();
    let finish_reason = if calls.is_empty() { "stop" } else { "tool_calls" };
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Reply::json(
        200,
        &json!({
            "id": format!("chatcmpl-{:016x}", hasher.finish()),
            "object": "chat.completion",
            "created": 1_767_225_600,
            "model": completion.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
        }),
    )
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// An error in the API's own shape.
fn failure(status: u16, message: &str) -> Reply {
    let kind = if status == 401 {
        "authentication_error"
    } else {
        "invalid_request_error"
    };
    Reply::json(
        status,
        &json!({"error": {"message": message, "type": kind, "param": null, "code": null}}),
    )
}
