//! An agent: asks a language model what to do next, calls the tools that it asks for, tells it what came of them, and so on until it answers.
//!
//! It keeps its progress in its own memory and nowhere else, and repeats nothing: where it failed and is started again, the host answers what it
//! asked before from the run's journal, so that it comes to the same point by the same way.

mod chat;
mod toolbox;

wit_bindgen::generate!({
    path: ["../../wit", "wit"],
    world: "example:assistant/tool",
    generate_all,
});

use chat::{Chat, Said};
use exports::example::assistant::assistant::{Answer, Error, Guest, Step};
use fusebox::host::log;
use toolbox::Toolbox;

/// How often the model is asked for one question.
const MOST_TURNS: u32 = 16;

struct Assistant;

impl Guest for Assistant {
    fn ask(question: String) -> Result<Answer, Error> {
        if question.trim().is_empty() {
            return Err(Error::EmptyQuestion);
        }
        let toolbox = Toolbox::open();
        let mut chat = Chat::about(question)?;
        let mut steps = Vec::new();
        for turn in 1..=MOST_TURNS {
            let calls = match chat.turn(toolbox.definitions())? {
                Said::Text(text) => return Ok(Answer { text, steps }),
                Said::Calls(calls) => calls,
            };
            for call in calls {
                log::info(&format!("turn {turn}: {} {}", call.function, call.arguments));
                let outcome = toolbox.call(&call.function, &call.arguments)?;
                chat.tell(&call.id, &outcome)?;
                steps.push(Step {
                    function: call.function,
                    arguments: call.arguments,
                    outcome,
                });
            }
        }
        Err(Error::TooManyTurns(MOST_TURNS))
    }
}

export!(Assistant);
