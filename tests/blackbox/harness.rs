//! What the crash harnesses of one host and of a fleet share: numbers from a seed, what hosts are given to do, and the books.

pub(crate) mod books;
pub(crate) mod load;

use crate::site::Site;

/// What every crash harness sets: leases are short, and no run is given up for having been recovered often.
pub(crate) const SETTINGS: &str = "lease = \"3s\"\nrecovery = { poll = \"100ms\", cap = 1000 }\n";

/// A number that the environment sets.
pub(crate) fn asked(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().expect(variable),
        Err(_) => default,
    }
}

/// Numbers that a seed makes up: splitmix64 (Steele, Lea, Flood 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most.max(1)
    }
}

/// Deploys the tools of the load; their services answer soon.
pub(crate) fn deploy(site: &Site) {
    for (tool, service) in load::TOOLS {
        let header = format!("[services.{service}]\n");
        let quick = format!("{header}timeout = \"1500ms\"\n");
        let replaced = [(header.as_str(), quick.as_str())];
        let replacements: &[(&str, &str)] = if service.is_empty() { &[] } else { &replaced };
        site.deploy_with(tool, replacements);
    }
}
