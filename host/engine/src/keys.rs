//! Keys that keep one call one run and one effect one effect.

use crate::requests::digest_of;
use fusebox_core::idempotency::{self, Owner};
use fusebox_core::ids::{Digest, RunId};

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

/// The key of a nested call: its place in the tree, and what is asked there.
pub(crate) fn nested_key(parent: &RunId, seq: u32, request: Digest) -> Digest {
    let mut material = b"fusebox nested call 1".to_vec();
    material.extend((parent.as_str().len() as u64).to_le_bytes());
    material.extend_from_slice(parent.as_str().as_bytes());
    material.extend(seq.to_le_bytes());
    material.extend_from_slice(&request.0);
    digest_of(&material)
}
