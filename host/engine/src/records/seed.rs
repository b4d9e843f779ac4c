//! The seed of a guest's random numbers: whoever knows it knows what the guest thinks nobody can guess.

use crate::ports::entropy::Entropy;
use std::fmt;

/// Drawn from the system's randomness when a run is accepted; the same in all its attempts, recoveries and replays.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A new one.
    pub(crate) fn draw(entropy: &dyn Entropy) -> Self {
        let mut seed = Self::default();
        entropy.fill(&mut seed.0);
        seed
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}
