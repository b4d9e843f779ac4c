//! Small fakes: secrets that are given, policies that are given, entropy that repeats itself.

use crate::ports::entropy::Entropy;
use crate::ports::policies::PolicySource;
use crate::ports::secrets::{SecretError, Secrets};
use fusebox_core::policy::{Origin, ToolPolicy};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Secrets by name, for every host.
#[derive(Clone, Debug, Default)]
pub struct FixedSecrets(pub BTreeMap<String, String>);

impl Secrets for FixedSecrets {
    fn reveal(&self, name: &str, origin: &Origin) -> Result<String, SecretError> {
        self.0.get(name).cloned().ok_or_else(|| SecretError::Missing {
            name: name.to_owned(),
            host: origin.host.clone(),
        })
    }
}

/// Policies by the text that stands for their manifest.
#[derive(Debug, Default)]
pub struct FixedPolicies(Mutex<BTreeMap<String, ToolPolicy>>);

impl FixedPolicies {
    /// From now on that manifest means that policy.
    pub fn set(&self, manifest: &str, policy: ToolPolicy) {
        let mut policies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        policies.insert(manifest.to_owned(), policy);
    }
}

impl PolicySource for FixedPolicies {
    fn lower(&self, tool: &str, manifest: &str) -> Result<ToolPolicy, String> {
        let policies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        policies
            .get(manifest)
            .cloned()
            .ok_or_else(|| format!("no policy was given for the manifest of `{tool}`"))
    }
}

/// A generator that a seed determines (SplitMix64), so that a failing test can be repeated.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// The generator of that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in out.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            for (slot, byte) in chunk.iter_mut().zip(mixed.to_le_bytes()) {
                *slot = byte;
            }
        }
    }
}
