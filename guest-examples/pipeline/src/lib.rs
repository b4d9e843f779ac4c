//! Thirty steps in a row, with nothing but this guest's own memory to keep what came of them: a failure at the twenty-eighth costs the
//! twenty-eighth, because the host answers from the run's journal what was asked before.

mod model;

wit_bindgen::generate!({
    path: ["../../wit", "../calculator/wit", "wit"],
    world: "example:pipeline/tool",
    generate_all,
});

use example::calculator::calculator;
use exports::example::pipeline::pipeline::{Error, Guest};
use fusebox::host::{log, tools};
use model::Model;
use serde_json::json;

/// How many steps there are.
const STEPS: u32 = 30;

struct Pipeline;

impl Guest for Pipeline {
    fn run(label: String) -> Result<Vec<String>, Error> {
        let model = Model::from_env()?;
        let mut results = Vec::new();
        for step in 1..=STEPS {
            let result = match step % 4 {
                1 => compute(step)?,
                3 => search(step)?,
                _ => model.complete(&format!("{label}: what comes in step {step}?"))?,
            };
            log::debug(&format!("step {step}: {result}"));
            results.push(result);
        }
        Ok(results)
    }
}

export!(Pipeline);

/// A call of another tool by its own interface: the compiler checks it, and the host compares both sides' types at deploy.
fn compute(step: u32) -> Result<String, Error> {
    match calculator::evaluate(&format!("{step} ^ 2")) {
        Ok(value) => Ok(value.to_string()),
        Err(error) => Err(Error::ToolFailed(format!("step {step}: {error:?}"))),
    }
}

/// A call of another tool by name, in JSON.
fn search(step: u32) -> Result<String, Error> {
    let topics = ["breaker", "retry", "idempotency", "letter"];
    let text = topics[step as usize / 4 % topics.len()];
    let arguments = json!({ "text": text, "limit": 1 }).to_string();
    tools::call("search", "query", &arguments).map_err(|error| Error::ToolFailed(format!("step {step}: {error:?}")))
}
