//! `fusebox:host/state`: the keyed store of the tool and of the run.

use super::wit::state::{Error, Host, Scope};
use crate::pump::WrongAnswer;
use crate::state::State;
use fusebox_engine::ports::sandbox::{Ask, Got, Scope as Whose, StateAsk};
use wasmtime::Result;

impl Host for State {
    async fn get(&mut self, scope: Scope, key: String) -> Result<Result<Option<Vec<u8>>, Error>> {
        match asked(self, scope, StateAsk::Get { key }).await? {
            Got::Value(value) => Ok(Ok(value.map(Vec::from))),
            other => refused(other),
        }
    }

    async fn set(&mut self, scope: Scope, key: String, value: Vec<u8>) -> Result<Result<(), Error>> {
        let value = Some(value.into());
        written(asked(self, scope, StateAsk::Set { key, value }).await?)
    }

    async fn delete(&mut self, scope: Scope, key: String) -> Result<Result<(), Error>> {
        written(asked(self, scope, StateAsk::Set { key, value: None }).await?)
    }

    async fn list_keys(&mut self, scope: Scope, prefix: String) -> Result<Result<Vec<String>, Error>> {
        match asked(self, scope, StateAsk::List { prefix }).await? {
            Got::Keys(keys) => Ok(Ok(keys)),
            other => refused(other),
        }
    }
}

async fn asked(state: &mut State, scope: Scope, ask: StateAsk) -> Result<Got> {
    let scope = match scope {
        Scope::Tool => Whose::Tool,
        Scope::Run => Whose::Run,
    };
    super::ask(state, Ask::State { scope, ask }).await
}

fn written(got: Got) -> Result<Result<(), Error>> {
    match got {
        Got::Value(_) => Ok(Ok(())),
        other => refused(other),
    }
}

fn refused<T>(got: Got) -> Result<Result<T, Error>> {
    match got {
        Got::Refused(why) => Ok(Err(Error::Refused(why))),
        _ => Err(WrongAnswer.into()),
    }
}
