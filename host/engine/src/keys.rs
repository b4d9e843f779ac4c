//! Keys that keep one call one run and one effect one effect, and the seed that keeps attempts alike.

use crate::requests::digest_of;
use fusebox_core::idempotency::{self, Owner};
use fusebox_core::ids::{Digest, RunId};
use sha2::{Digest as _, Sha256};

/// Whose effects a key belongs to.
#[derive(Clone, Debug)]
pub(crate) enum KeyOwner {
    /// A keyed call.
    Call(Digest),
    /// A run without a key.
    Run(RunId),
}

impl KeyOwner {
    /// The key of an effect: the same in every attempt and replay that makes the same request.
    pub(crate) fn effect_key(&self, request: Digest, n: u32) -> Digest {
        let owner = match self {
            Self::Call(key) => Owner::Call(*key),
            Self::Run(run) => Owner::Run(run),
        };
        digest_of(&idempotency::effect_key_material(owner, request, n))
    }
}

/// The key of a call, within its tenant.
pub(crate) fn call_key(tenant: &str, tool: &str, function: &str, key: &str) -> Digest {
    digest_of(&idempotency::call_key_material(tenant, tool, function, key))
}

/// The seed of a guest's random numbers: the same in every attempt and replay, so that a request that carries a random number is
/// recognised as the same. It rests on the 80 random bits of the run's id, which no upstream sees.
pub(crate) fn seed(run: &RunId) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix("fusebox seed 1 of ");
    hash.update(run.as_str());
    hash.finalize().into()
}
