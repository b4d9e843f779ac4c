//! Wrong keys of one address: so many are looked up, then none for a while, or guessing would keep the database busy.

use super::refusal::Refusal;
use fusebox_core::time::Tick;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Wrong keys of one address that are looked up at once.
const BURST: u32 = 20;

/// One more is looked up after so long.
const PERIOD: Duration = Duration::from_secs(3);

/// Addresses, and keys that were right, that are kept in mind.
const KEPT: usize = 10_000;

/// Counts wrong keys by address: a bucket for each that fills itself again (the generic cell rate algorithm).
#[derive(Default)]
pub(super) struct Guesses(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// When the bucket of an address is full again. One that is full is forgotten.
    refilled: HashMap<IpAddr, Tick>,
    /// Hashes of keys that were right: their owners are not shut out with whoever guesses at the same address, a proxy's for instance.
    right: HashSet<[u8; 32]>,
}

impl Guesses {
    /// Lets a key be looked up.
    ///
    /// # Errors
    /// That too many of that address were wrong, and when the next is looked up.
    pub(super) fn admit(&self, peer: IpAddr, key: &str, now: Tick) -> Result<(), Refusal> {
        let memory = self.memory();
        let Some(refilled) = memory.refilled.get(&network(peer)) else {
            return Ok(());
        };
        let wait = refilled.since(now).saturating_sub(PERIOD * (BURST - 1));
        if wait.is_zero() || memory.right.contains(&hash(key)) {
            return Ok(());
        }
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Err(Refusal::later(429, "too many wrong keys came from this address", wait))
    }

    /// A key of that address was wrong.
    pub(super) fn wrong(&self, peer: IpAddr, key: &str, now: Tick) {
        let mut memory = self.memory();
        memory.right.remove(&hash(key));
        let refilled = &mut memory.refilled;
        if refilled.len() >= KEPT {
            refilled.retain(|_, at| *at > now);
            if refilled.len() >= KEPT {
                // Whoever has so many addresses is not stopped by a count for each.
                refilled.clear();
            }
        }
        let at = refilled.entry(network(peer)).or_insert(now);
        *at = (*at).max(now) + PERIOD;
    }

    /// A key was right.
    pub(super) fn right(&self, key: &str) {
        let mut memory = self.memory();
        if memory.right.len() >= KEPT {
            memory.right.clear();
        }
        memory.right.insert(hash(key));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Who has one address of IPv6 has its whole network (RFC 6177), so they count as one.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Tick = Tick(0);

    fn at(seconds: u64) -> Tick {
        START + Duration::from_secs(seconds)
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    }

    #[test]
    fn so_many_are_looked_up_and_then_one_in_a_while() {
        let (guesses, mallory) = (Guesses::default(), peer("10.0.0.1"));
        for _ in 0..BURST {
            assert!(guesses.admit(mallory, "a", START).is_ok());
            guesses.wrong(mallory, "a", START);
        }
        assert!(guesses.admit(mallory, "a", START).is_err());
        assert!(guesses.admit(mallory, "a", at(2)).is_err());
        assert!(guesses.admit(mallory, "a", at(3)).is_ok());
        guesses.wrong(mallory, "a", at(3));
        assert!(guesses.admit(mallory, "a", at(3)).is_err());
        // After a minute without any, it is as in the beginning.
        for _ in 0..BURST {
            assert!(guesses.admit(mallory, "a", at(66)).is_ok());
            guesses.wrong(mallory, "a", at(66));
        }
        assert!(guesses.admit(mallory, "a", at(66)).is_err());
    }

    #[test]
    fn others_are_not_shut_out_with_whoever_guesses() {
        let guesses = Guesses::default();
        guesses.right("good");
        for _ in 0..=BURST {
            guesses.wrong(peer("2001:db8::1"), "a", START);
        }
        assert!(
            guesses.admit(peer("2001:db8::ffff"), "a", START).is_err(),
            "one network"
        );
        assert!(guesses.admit(peer("2001:db8:0:1::1"), "a", START).is_ok());
        assert!(guesses.admit(peer("2001:db8::1"), "good", START).is_ok());
        // A key that was revoked since is a wrong one like any other.
        guesses.wrong(peer("10.0.0.1"), "good", START);
        assert!(guesses.admit(peer("2001:db8::1"), "good", START).is_err());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let guesses = Guesses::default();
        for number in 0..2 * u32::try_from(KEPT).unwrap_or(u32::MAX) {
            guesses.wrong(std::net::Ipv4Addr::from_bits(number).into(), "a", START);
            guesses.right(&number.to_string());
        }
        let memory = guesses.memory();
        assert!(memory.refilled.len() <= KEPT && memory.right.len() <= KEPT);
    }
}
