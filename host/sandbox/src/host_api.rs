//! `fusebox:host`: what a component may import beside WASI. Every answer is an effect of the run, but for the log.

mod approval;
mod context;
mod log;
mod state;
mod tools;

use crate::state::State;
use fusebox_engine::ports::sandbox::{Ask, Got};
use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker};

/// Traits and types of the published WIT package.
#[allow(missing_docs, unreachable_pub, unused_qualifications, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "fusebox:host/agent",
        imports: {
            "fusebox:host/log.debug": trappable,
            "fusebox:host/log.info": trappable,
            "fusebox:host/log.warn": trappable,
            "fusebox:host/log.error": trappable,
            default: async | trappable,
        },
    });
}

use bindings::fusebox::host as wit;

/// The track that is served: a component gets it whatever version of it it was built with.
const TRACK: &str = "0.1.";

/// Its interfaces.
const INTERFACES: [&str; 5] = ["approval", "context", "log", "state", "tools"];

/// Whether an import of that name is one of these interfaces.
pub(crate) fn provides(import: &str) -> bool {
    let Some((interface, version)) = import
        .strip_prefix("fusebox:host/")
        .and_then(|rest| rest.split_once('@'))
    else {
        return false;
    };
    version.starts_with(TRACK) && INTERFACES.contains(&interface)
}

/// Defines all of them.
///
/// # Errors
/// The runtime's: a name is there already.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    bindings::Agent::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// Asks the engine, and waits for what the guest gets.
async fn ask(state: &mut State, ask: Ask) -> Result<Got> {
    let seq = state.pump.begin(ask)?;
    state.pump.wait_for(seq).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_of_the_track_is_provided_and_nothing_else() {
        assert!(provides("fusebox:host/tools@0.1.0"));
        assert!(provides("fusebox:host/log@0.1.7"));
        for other in [
            "fusebox:host/tools@0.2.0",
            "fusebox:host/tools@1.0.0",
            "fusebox:host/tools",
            "fusebox:host/clouds@0.1.0",
            "wasi:host/tools@0.1.0",
        ] {
            assert!(!provides(other), "{other}");
        }
    }
}
