//! A client of a large language model with an OpenAI-compatible API.

mod chat;

use http_client::{Client, Response};

wit_bindgen::generate!({ path: "wit", world: "tool" });

use exports::example::llm::llm::{Completion, Error, Guest};

struct Llm;

impl Guest for Llm {
    fn complete(prompt: String, system: Option<String>) -> Result<Completion, Error> {
        if prompt.trim().is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let model = std::env::var("LLM_MODEL").map_err(|_| {
            Error::Rejected("the environment variable LLM_MODEL is not set; set it in [env] of the manifest".to_owned())
        })?;
        let question = chat::Question::new(model, system, prompt);
        let answer = Client::from_env("LLM_URL")?.post("/v1/chat/completions", &question)?;
        let answer: chat::Answer = success(answer)?.json()?;
        answer
            .into_completion()
            .ok_or_else(|| Error::Unavailable("the answer has no choice with text".to_owned()))
    }
}

export!(Llm);

fn success(answer: Response) -> Result<Response, Error> {
    match answer.status() {
        200 => Ok(answer),
        429 => Err(Error::RateLimited(answer.retry_after())),
        500.. => Err(Error::Unavailable(answer.summary())),
        _ => Err(Error::Rejected(answer.summary())),
    }
}

impl From<http_client::Error> for Error {
    fn from(error: http_client::Error) -> Self {
        use http_client::Error::{BadAnswer, BadRequest, NoAnswer, NotConfigured};
        match error {
            NoAnswer(_) | BadAnswer(_) => Self::Unavailable(error.to_string()),
            NotConfigured(_) | BadRequest(_) => Self::Rejected(error.to_string()),
        }
    }
}
