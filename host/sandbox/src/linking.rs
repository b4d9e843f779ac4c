//! Interfaces of other tools that a component imports: each of their functions is a proxy that calls the tool through the call boundary.
//! Values cross as JSON, and nothing else does.

use crate::pump::WrongAnswer;
use crate::shape::imports::{Imported, ImportedFunction};
use crate::shape::wit_type::WitType;
use crate::state::State;
use crate::values::{self, EncodeError};
use fusebox_engine::ports::sandbox::{Ask, Called, Got, Target};
use std::sync::Arc;
use wasmtime::component::{Linker, Val};
use wasmtime::{Error, Result};

/// A call that came to no answer that its type has room for. It ends its caller where it stands; what became of the call is the engine's to
/// judge, by the effect.
#[derive(Debug, thiserror::Error)]
#[error("the call of {function} of {interface} failed: {why}")]
pub(crate) struct CallFailed {
    interface: Arc<str>,
    function: String,
    why: String,
}

/// What came back as the answer of a call is no value of the function's type, although both sides' types were compared.
#[derive(Debug, thiserror::Error)]
#[error("the answer of {function} of {interface} is not of its type: {misfit}")]
pub(crate) struct Unfit {
    interface: Arc<str>,
    function: String,
    misfit: String,
}

/// Defines the interfaces, each function as a call of the tool that exports it.
///
/// # Errors
/// The runtime's: a name is there already.
pub(crate) fn add_to_linker(linker: &mut Linker<State>, imported: Vec<Imported>) -> Result<()> {
    for Imported { interface, functions } in imported {
        let mut instance = linker.instance(&interface)?;
        let interface: Arc<str> = interface.into();
        for function in functions {
            let name = function.name.clone();
            let proxy = Arc::new(Proxy {
                interface: Arc::clone(&interface),
                function,
            });
            instance.func_new_async(&name, move |mut store, _, arguments, results| {
                let proxy = Arc::clone(&proxy);
                Box::new(async move {
                    let value = proxy.call(store.data_mut(), arguments).await?;
                    if let (Some(slot), Some(value)) = (results.first_mut(), value) {
                        *slot = value;
                    }
                    Ok(())
                })
            })?;
        }
    }
    Ok(())
}

/// One function of another tool.
struct Proxy {
    interface: Arc<str>,
    function: ImportedFunction,
}

impl Proxy {
    async fn call(&self, state: &mut State, arguments: &[Val]) -> Result<Option<Val>> {
        let input = match values::encode_arguments(&self.function.params, arguments, state.host_memory.left()) {
            Ok(input) => input,
            Err(EncodeError::TooLarge { .. }) => return Err(state.host_memory.refuse().into()),
            Err(mismatch @ EncodeError::Mismatch(_)) => return Err(self.unfit(&mismatch)),
        };
        let target = Target::Linked {
            interface: self.interface.to_string(),
            function: self.function.name.clone(),
        };
        let seq = state.pump.begin(Ask::Call { target, input })?;
        let got = state.pump.wait_for(seq).await?;
        let memory = state.host_memory.left();
        let decode = |json: &str, ty: Option<&WitType>| values::decode(json, ty, memory);
        let decoded = match (got, &self.function.result) {
            (Got::Call(Called::Ok(json)), Some(WitType::Result(result))) => {
                decode(&json, result.0.as_ref()).map(|value| Some(Val::Result(Ok(value.map(Box::new)))))
            }
            (Got::Call(Called::Ok(json)), plain) => decode(&json, plain.as_ref()),
            (Got::Call(Called::Err { json, .. }), Some(WitType::Result(result))) => {
                decode(&json, result.1.as_ref()).map(|value| Some(Val::Result(Err(value.map(Box::new)))))
            }
            (Got::Call(Called::Err { json, .. }), _) => {
                return Err(self.failed(format!("it answered with the error {json}")));
            }
            (Got::Call(Called::Failed { code, message, .. }), _) => {
                return Err(self.failed(format!("{code}: {message}")));
            }
            (Got::Refused(why), _) => return Err(self.failed(why)),
            _ => return Err(WrongAnswer.into()),
        };
        decoded.map_err(|misfit| match misfit.is_exhausted() {
            true => state.host_memory.refuse().into(),
            false => self.unfit(&misfit),
        })
    }

    fn failed(&self, why: String) -> Error {
        let failed = CallFailed {
            interface: Arc::clone(&self.interface),
            function: self.function.name.clone(),
            why,
        };
        failed.into()
    }

    fn unfit(&self, misfit: &dyn std::fmt::Display) -> Error {
        let unfit = Unfit {
            interface: Arc::clone(&self.interface),
            function: self.function.name.clone(),
            misfit: misfit.to_string(),
        };
        unfit.into()
    }
}
