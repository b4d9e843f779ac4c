//! `fusebox:host/log`: lines of the run's log. What is said of less or more than ordinary weight carries its level before it; the other two
//! levels are those of stdout and stderr.

use super::wit::log::Host;
use crate::state::State;
use wasmtime::Result;

impl Host for State {
    fn debug(&mut self, message: String) -> Result<()> {
        write(self, false, "debug: ", &message);
        Ok(())
    }

    fn info(&mut self, message: String) -> Result<()> {
        write(self, false, "", &message);
        Ok(())
    }

    fn warn(&mut self, message: String) -> Result<()> {
        write(self, true, "", &message);
        Ok(())
    }

    fn error(&mut self, message: String) -> Result<()> {
        write(self, true, "error: ", &message);
        Ok(())
    }
}

fn write(state: &State, err: bool, level: &str, message: &str) {
    let text: String = message.lines().flat_map(|line| [level, line, "\n"]).collect();
    state.log.write(err, text.as_bytes());
}
