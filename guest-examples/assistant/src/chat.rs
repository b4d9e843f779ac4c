//! A conversation with a model that may call functions, by the OpenAI-compatible chat completions API.

use crate::exports::example::assistant::assistant::Error;
use crate::toolbox::Definition;
use http_client::{Client, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What the model is told of its part.
const INSTRUCTIONS: &str = "You answer questions and do what you are asked to. Use the functions where they help. \
                            When one fails, try another way or say plainly what was not done.";

/// A conversation.
pub(crate) struct Chat {
    client: Client,
    model: String,
    /// Those of the model as they came: the API wants them back so.
    messages: Vec<Box<RawValue>>,
}

/// What the model said.
pub(crate) enum Said {
    /// Its answer.
    Text(String),
    /// Functions that it wants to be called first.
    Calls(Vec<Call>),
}

/// A function that the model wants to be called.
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) function: String,
    /// JSON, if the model got it right.
    pub(crate) arguments: String,
}

impl Chat {
    /// A conversation that begins with a question.
    pub(crate) fn about(question: String) -> Result<Self, Error> {
        let model = std::env::var("OPENAI_MODEL").map_err(|_| {
            Error::Rejected(
                "the environment variable OPENAI_MODEL is not set; set it in [env] of the manifest".to_owned(),
            )
        })?;
        let mut chat = Self {
            client: Client::from_env("OPENAI_URL")?,
            model,
            messages: Vec::new(),
        };
        chat.push(&Told::System { content: INSTRUCTIONS })?;
        chat.push(&Told::User { content: &question })?;
        Ok(chat)
    }

    /// Lets the model say something.
    pub(crate) fn turn(&mut self, functions: &[Definition]) -> Result<Said, Error> {
        let request = Request {
            model: &self.model,
            messages: &self.messages,
            tools: functions,
            tool_choice: (!functions.is_empty()).then_some("auto"),
        };
        let answer: Completion = success(self.client.post("/v1/chat/completions", &request)?)?.json()?;
        let choice = answer.choices.into_iter().next();
        let message = choice.ok_or_else(|| unusable("it has no choice"))?.message;
        let said: Message = serde_json::from_str(message.get()).map_err(|error| unusable(&error.to_string()))?;
        self.messages.push(message);
        let calls = said.tool_calls.unwrap_or_default();
        if calls.is_empty() {
            return said
                .content
                .map(Said::Text)
                .ok_or_else(|| unusable("its message is empty"));
        }
        Ok(Said::Calls(calls.into_iter().map(Call::from).collect()))
    }

    /// Tells the model what came of a call.
    pub(crate) fn tell(&mut self, call: &str, outcome: &str) -> Result<(), Error> {
        self.push(&Told::Tool {
            tool_call_id: call,
            content: outcome,
        })
    }

    fn push(&mut self, message: &Told<'_>) -> Result<(), Error> {
        let message = serde_json::value::to_raw_value(message).map_err(|error| Error::Rejected(error.to_string()))?;
        self.messages.push(message);
        Ok(())
    }
}

fn unusable(why: &str) -> Error {
    Error::Unavailable(format!("the answer is not understood: {why}"))
}

/// What the model is told.
#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Told<'a> {
    System { content: &'a str },
    User { content: &'a str },
    Tool { tool_call_id: &'a str, content: &'a str },
}

/// The body of a request.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: &'a [Box<RawValue>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: &'a [Definition],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
}

/// The body of an answer, as far as it is used here.
#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Box<RawValue>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
struct ToolCall {
    id: String,
    function: FunctionCall,
}

#[derive(Deserialize)]
struct FunctionCall {
    name: String,
    arguments: String,
}

impl From<ToolCall> for Call {
    fn from(call: ToolCall) -> Self {
        Self {
            id: call.id,
            function: call.function.name,
            arguments: call.function.arguments,
        }
    }
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
