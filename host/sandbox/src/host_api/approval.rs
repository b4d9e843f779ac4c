//! `fusebox:host/approval`: a person is asked.

use super::wit::approval::{Error, Host};
use crate::pump::WrongAnswer;
use crate::state::State;
use fusebox_engine::ports::sandbox::{Ask, Got};
use serde::de::IgnoredAny;
use wasmtime::Result;

impl Host for State {
    async fn request(&mut self, question: String, details: String) -> Result<Result<(), Error>> {
        // Nobody is shown, and nothing is bound to, what is no JSON.
        if let Err(error) = serde_json::from_str::<IgnoredAny>(&details) {
            return Ok(Err(Error::Refused(format!("the details are no JSON: {error}"))));
        }
        match super::ask(self, Ask::Approval { question, details }).await? {
            Got::Approval(Ok(())) => Ok(Ok(())),
            Got::Approval(Err(reason)) => Ok(Err(Error::Declined(reason))),
            Got::Refused(why) => Ok(Err(Error::Refused(why))),
            _ => Err(WrongAnswer.into()),
        }
    }
}
