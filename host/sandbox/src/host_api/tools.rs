//! `fusebox:host/tools`: other tools by name.

use super::wit::tools::{AnsweredError, CallError, Failure, FunctionSchema, Host, ToolFunction};
use crate::pump::WrongAnswer;
use crate::state::State;
use fusebox_core::failure::{Class, Code};
use fusebox_engine::ports::sandbox::{Ask, Called, Got, Offered, Target};
use serde::Deserialize;
use serde_json::value::RawValue;
use wasmtime::Result;

impl Host for State {
    /// Nothing, where nothing is granted.
    async fn list(&mut self) -> Result<Vec<ToolFunction>> {
        match super::ask(self, Ask::Tools).await? {
            Got::Tools(offered) => Ok(offered.into_iter().map(ToolFunction::from).collect()),
            Got::Refused(_) => Ok(Vec::new()),
            _ => Err(WrongAnswer.into()),
        }
    }

    async fn describe(&mut self, tool: String, function: String) -> Result<Option<FunctionSchema>> {
        match super::ask(self, Ask::Describe { tool, function }).await? {
            Got::Described(Some(json)) => {
                let described: Described<'_> = serde_json::from_str(&json).map_err(|_| WrongAnswer)?;
                Ok(Some(described.into()))
            }
            Got::Described(None) | Got::Refused(_) => Ok(None),
            _ => Err(WrongAnswer.into()),
        }
    }

    async fn call(&mut self, tool: String, function: String, input: String) -> Result<Result<String, CallError>> {
        let target = Target::Named { tool, function };
        match super::ask(self, Ask::Call { target, input }).await? {
            Got::Call(Called::Ok(json)) => Ok(Ok(json)),
            Got::Call(Called::Err { case, json }) => {
                Ok(Err(CallError::Answered(AnsweredError { case, error_json: json })))
            }
            Got::Call(Called::Failed {
                code,
                class,
                message,
                retry_after_ms,
            }) => Ok(Err(CallError::Failed(Failure {
                code,
                class,
                message,
                retry_after_ms,
            }))),
            Got::Refused(message) => Ok(Err(CallError::Failed(Failure {
                code: Code::Denied.name().to_owned(),
                class: Class::Control.name().to_owned(),
                message,
                retry_after_ms: None,
            }))),
            _ => Err(WrongAnswer.into()),
        }
    }
}

impl From<Offered> for ToolFunction {
    fn from(offered: Offered) -> Self {
        Self {
            tool: offered.tool,
            function: offered.function,
            description: offered.description,
        }
    }
}

/// A function's schemas as the engine tells them; each stays the text that it is.
#[derive(Deserialize)]
struct Described<'a> {
    #[serde(default)]
    description: String,
    #[serde(borrow)]
    input: &'a RawValue,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
}

impl From<Described<'_>> for FunctionSchema {
    fn from(described: Described<'_>) -> Self {
        let output = described.output.map(RawValue::get).filter(|text| *text != "null");
        Self {
            description: described.description,
            input: described.input.get().to_owned(),
            output: output.map(str::to_owned),
        }
    }
}
