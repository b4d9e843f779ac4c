//! All of WASI 0.2, linked so that guests of every toolchain instantiate, and empty or refusing: no files, no sockets,
//! no arguments, nothing on stdin, no environment but the manifest's; clocks and randomness are the attempt's own.

pub(crate) mod clock;
pub(crate) mod log;
mod poll;

use crate::http;
use crate::state::State;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use clock::{Shared, VirtualClock};
use log::{Collector, Printed};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime::{Engine, Result};
use wasmtime_wasi::WasiCtx;

/// Largest answer to a single request for random bytes.
const RANDOM_BYTES: u64 = 1 << 20;

/// What is linked, under any version of 0.2. An import outside of it has nobody to provide it.
const PROVIDED: &[(&str, &[&str])] = &[
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem", &["preopens", "types"]),
    ("wasi:http", &["outgoing-handler", "types"]),
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:random", &["insecure", "insecure-seed", "random"]),
    (
        "wasi:sockets",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// Whether the host provides an import of that name.
pub(crate) fn provides(import: &str) -> bool {
    let Some((path, version)) = import.split_once('@') else {
        return false;
    };
    let Some((package, interface)) = path.split_once('/') else {
        return false;
    };
    let known = PROVIDED.iter().find(|(name, _)| *name == package);
    version.starts_with("0.2.") && known.is_some_and(|(_, interfaces)| interfaces.contains(&interface))
}

/// A linker with everything that [`provides`] names.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    http::add_to_linker(&mut linker)?;
    // Ours end with the attempt, and run on its clock.
    linker.allow_shadowing(true);
    poll::add_to_linker(&mut linker)?;
    clock::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// The context of one attempt.
pub(crate) fn context(
    env: &[(String, String)],
    seed: [u8; 32],
    clock: &Arc<VirtualClock>,
    log: &Arc<Collector>,
) -> WasiCtx {
    let mut builder = WasiCtx::builder();
    builder
        .envs(env)
        .stdout(Printed::stdout(log))
        .stderr(Printed::stderr(log))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .monotonic_clock(Shared(Arc::clone(clock)))
        .wall_clock(Shared(Arc::clone(clock)))
        .max_random_size(RANDOM_BYTES)
        .secure_random(ChaCha20Rng::from_seed(seed))
        .insecure_random(ChaCha20Rng::from_seed(derived(&seed, "insecure random")))
        .insecure_random_seed(number(&derived(&seed, "insecure seed")));
    builder.build()
}

/// A seed for another purpose, from which the first cannot be told.
fn derived(seed: &[u8; 32], purpose: &str) -> [u8; 32] {
    Sha256::new().chain_update(purpose).chain_update(seed).finalize().into()
}

fn number(seed: &[u8; 32]) -> u128 {
    seed.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_of_0_2_is_provided_and_nothing_else() {
        assert!(provides("wasi:http/outgoing-handler@0.2.0"));
        assert!(provides("wasi:sockets/tcp@0.2.12"));
        assert!(!provides("wasi:http/incoming-handler@0.2.0"));
        assert!(!provides("wasi:cli/stdout@0.3.0"));
        assert!(!provides("acme:db/store@0.2.0"));
        assert!(!provides("host"));
    }
}
