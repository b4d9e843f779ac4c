//! `fusebox:host/context`: what a run is told of itself.

use super::wit::context::{Host, RunContext};
use crate::pump::WrongAnswer;
use crate::state::State;
use fusebox_engine::ports::sandbox::{Ask, Got};
use wasmtime::Result;

impl Host for State {
    async fn get(&mut self) -> Result<RunContext> {
        let Got::Context(told) = super::ask(self, Ask::Context).await? else {
            return Err(WrongAnswer.into());
        };
        Ok(RunContext {
            run: told.run,
            attempt: told.attempt,
            idempotency_key: told.key,
            time_left_ms: told.left_ms,
            replay: told.replay,
            principal: told.principal,
        })
    }
}
