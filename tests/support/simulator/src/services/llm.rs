//! Chat completions as OpenAI's API has them: the same request always gets the same text.

use super::authorized;
use crate::http::{Reply, Request};
use serde::Deserialize;
use serde_json::json;
use std::hash::{DefaultHasher, Hash, Hasher};

const TOKEN: &str = "llm-secret";

#[derive(Deserialize)]
struct Completion {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
}

#[derive(Deserialize, Hash)]
struct Message {
    role: String,
    content: String,
}

pub(crate) fn serve(request: &Request) -> Reply {
    if request.route() != "/v1/chat/completions" {
        return failure(404, "there is only /v1/chat/completions");
    }
    if request.method != "POST" {
        return failure(405, "ask with POST").with("allow", "POST");
    }
    if authorized(request, TOKEN).is_err() {
        return failure(401, "Incorrect API key provided.").with("www-authenticate", "Bearer");
    }
    match serde_json::from_slice::<Completion>(&request.body) {
        Err(error) => failure(400, &format!("the body is not understood: {error}")),
        Ok(completion) if completion.stream => failure(400, "streaming is not spoken here"),
        Ok(completion) if completion.messages.is_empty() => failure(400, "messages is empty"),
        Ok(completion) => complete(&completion),
    }
}

fn complete(completion: &Completion) -> Reply {
    let of_role = |role: &str| {
        let message = completion.messages.iter().rev().find(|message| message.role == role);
        message.map_or("", |message| message.content.as_str())
    };
    let (prompt, system) = (of_role("user"), of_role("system"));
    let text = if system.is_empty() {
        format!("You asked: {prompt}")
    } else {
        format!("You asked: {prompt} (instructed: {system})")
    };
    let mut hasher = DefaultHasher::new();
    (&completion.model, &completion.messages).hash(&mut hasher);
    let asked: usize = completion.messages.iter().map(|message| words(&message.content)).sum();
    let answered = words(&text);
    Reply::json(
        200,
        &json!({
            "id": format!("chatcmpl-{:016x}", hasher.finish()),
            "object": "chat.completion",
            "created": 1_767_225_600,
            "model": completion.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }],
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
