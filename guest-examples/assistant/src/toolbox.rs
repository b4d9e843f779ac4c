//! The tools that this run may call, as a model knows them.

use crate::exports::example::assistant::assistant::{Error, ToolFailure};
use crate::fusebox::host::tools::{self, CallError, Failure};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

/// Longest name of a function that the API takes, in characters.
const LONGEST_NAME: usize = 64;

/// Functions that may be called.
pub(crate) struct Toolbox {
    functions: Vec<Function>,
    definitions: Vec<Definition>,
}

/// A function as the API wants it.
#[derive(Serialize)]
pub(crate) struct Definition {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Described,
}

#[derive(Serialize)]
struct Described {
    name: String,
    description: String,
    /// The schema stays the text that it is.
    parameters: Box<RawValue>,
}

struct Function {
    /// As the model knows it.
    name: String,
    tool: String,
    function: String,
}

impl Toolbox {
    /// Asks the host what may be called, and how.
    pub(crate) fn open() -> Self {
        let mut toolbox = Self {
            functions: Vec::new(),
            definitions: Vec::new(),
        };
        for offered in tools::list() {
            let schema = tools::describe(&offered.tool, &offered.function);
            let described =
                schema.and_then(|schema| Some((schema.description, RawValue::from_string(schema.input).ok()?)));
            if let Some((description, parameters)) = described {
                let name = toolbox.name_for(&offered.tool, &offered.function);
                let function = Described {
                    name: name.clone(),
                    description,
                    parameters,
                };
                toolbox.definitions.push(Definition {
                    kind: "function",
                    function,
                });
                toolbox.functions.push(Function {
                    name,
                    tool: offered.tool,
                    function: offered.function,
                });
            }
        }
        toolbox
    }

    /// The functions as the API wants them.
    pub(crate) fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Calls a function that the model asked for, and returns what the model is to be told.
    ///
    /// # Errors
    /// The call failed, and not by an error that the model can do something about. A later attempt goes on at this call.
    pub(crate) fn call(&self, name: &str, arguments: &str) -> Result<String, Error> {
        let Some(function) = self.functions.iter().find(|function| function.name == name) else {
            return Ok(json!({ "error": format!("there is no function `{name}`") }).to_string());
        };
        match tools::call(&function.tool, &function.function, arguments) {
            Ok(json) => Ok(json),
            Err(CallError::Answered(error)) => Ok(told(&error.error_json)),
            // It may have got the arguments wrong, or a person may have said no: both are for the model to deal with.
            Err(CallError::Failed(failure)) if matches!(failure.class.as_str(), "caller" | "control") => {
                Ok(json!({ "error": failure.message, "code": failure.code }).to_string())
            }
            Err(CallError::Failed(failure)) => Err(failed(name, failure)),
        }
    }

    /// `tool_function`, with nothing but what the API takes in names, and unlike all others.
    fn name_for(&self, tool: &str, function: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let whole: String = format!("{tool}_{function}").chars().map(plain).collect();
        let with = |end: &str| -> String {
            let start: String = whole.chars().take(LONGEST_NAME - end.len()).collect();
            start + end
        };
        let mut name = with("");
        for number in 2.. {
            if self.functions.iter().all(|other| other.name != name) {
                break;
            }
            name = with(&format!("_{number}"));
        }
        name
    }
}

/// An error value, as the model is told of it.
fn told(error: &str) -> String {
    match serde_json::from_str::<&RawValue>(error) {
        Ok(error) => format!("{{\"error\":{error}}}"),
        Err(_) => json!({ "error": error }).to_string(),
    }
}

fn failed(function: &str, failure: Failure) -> Error {
    Error::ToolFailed(ToolFailure {
        function: function.to_owned(),
        code: failure.code,
        message: failure.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolbox(names: &[&str]) -> Toolbox {
        let function = |name: &&str| Function {
            name: (*name).to_owned(),
            tool: String::new(),
            function: String::new(),
        };
        Toolbox {
            functions: names.iter().map(function).collect(),
            definitions: Vec::new(),
        }
    }

    #[test]
    fn names_have_nothing_but_what_the_api_takes_and_are_unlike_each_other() {
        assert_eq!(
            toolbox(&[]).name_for("web-search", "news.query"),
            "web-search_news_query"
        );
        assert_eq!(toolbox(&["a_b"]).name_for("a", "b"), "a_b_2");
        assert_eq!(toolbox(&["a_b", "a_b_2"]).name_for("a", "b"), "a_b_3");
        let long = "x".repeat(80);
        let first = toolbox(&[]).name_for(&long, "f");
        assert_eq!(first.len(), 64);
        let second = toolbox(&[&first]).name_for(&long, "f");
        assert_eq!(second.len(), 64);
        assert!(second.ends_with("_2"), "{second}");
    }

    #[test]
    fn a_model_is_told_an_error_as_it_is() {
        assert_eq!(told(r#"{"rejected":"no"}"#), r#"{"error":{"rejected":"no"}}"#);
        assert_eq!(told("nonsense"), r#"{"error":"nonsense"}"#);
    }
}
