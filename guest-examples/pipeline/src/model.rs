//! A language model with an OpenAI-compatible API, as far as it is needed here.

use crate::exports::example::pipeline::pipeline::Error;
use http_client::{Client, Response};
use serde::Deserialize;
use serde_json::json;

/// A model of one provider.
pub(crate) struct Model {
    client: Client,
    name: String,
}

impl Model {
    /// The model that the manifest names.
    pub(crate) fn from_env() -> Result<Self, Error> {
        let name = std::env::var("OPENAI_MODEL").map_err(|_| {
            Error::Rejected(
                "the environment variable OPENAI_MODEL is not set; set it in [env] of the manifest".to_owned(),
            )
        })?;
        Ok(Self {
            client: Client::from_env("OPENAI_URL")?,
            name,
        })
    }

    /// What the model says to a prompt.
    pub(crate) fn complete(&self, prompt: &str) -> Result<String, Error> {
        let question = json!({ "model": self.name, "messages": [{ "role": "user", "content": prompt }] });
        let answer: Answer = success(self.client.post("/v1/chat/completions", &question)?)?.json()?;
        let text = answer
            .choices
            .into_iter()
            .next()
            .and_then(|choice| choice.message.content);
        text.ok_or_else(|| Error::Unavailable("the answer has no choice with text".to_owned()))
    }
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

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
