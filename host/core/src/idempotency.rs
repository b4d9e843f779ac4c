//! Keys that keep one call one run and one effect one effect, and what is decided by them (semantics.md §5).
//!
//! A key is the SHA-256 of canonical material; this module makes the material, its caller hashes it.

use crate::classify::{has_failed, may_be_repeated};
use crate::effect::Effect;
use crate::failure::Code;
use crate::ids::{Digest, RunId};
use crate::policy::Idempotency;
use crate::time::Wall;
use std::time::Duration;

/// No key is forgotten sooner.
pub const SHORTEST_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What the call key is the digest of: the same over attempts, recoveries and unedited replays, different for each tenant.
#[must_use]
pub fn call_key_material(tenant: &str, tool: &str, function: &str, key: &str) -> Vec<u8> {
    material(b"fusebox call key 1", &[tenant, tool, function, key].map(str::as_bytes))
}

/// Whose effects a key belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// A keyed call: its call key, so that a later run of the same call has the same effect keys.
    Call(Digest),
    /// A call without a key: its run.
    Run(&'a RunId),
}

/// What the effect key is the digest of; `n` comes from [`occurrence`].
#[must_use]
pub fn effect_key_material(owner: Owner<'_>, request: Digest, n: u32) -> Vec<u8> {
    let n = n.to_le_bytes();
    match owner {
        Owner::Call(key) => material(b"fusebox effect key 1 of call", &[&key.0, &request.0, &n]),
        Owner::Run(run) => material(
            b"fusebox effect key 1 of run",
            &[run.as_str().as_bytes(), &request.0, &n],
        ),
    }
}

/// The smallest number that no equal earlier request of this attempt holds. One that the guest saw fail holds none any more: a second
/// equal request is meant as a second effect, while one made again after a failure is meant as the same, whatever else is in flight.
#[must_use]
pub fn occurrence<'a>(earlier: impl IntoIterator<Item = &'a Effect> + Clone, request: Digest) -> u32 {
    let holds = |effect: &&Effect| effect.request == request && (effect.answer.is_none() || !has_failed(effect));
    let holders = || earlier.clone().into_iter().filter(holds);
    // So many numbers cannot all be held; a list of them keeps this linear however often a guest repeats itself.
    let mut free = vec![true; holders().count() + 1];
    for holder in holders() {
        if let Some(number) = free.get_mut(holder.occurrence as usize) {
            *number = false;
        }
    }
    let smallest = free.iter().position(|free| *free);
    smallest.and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX)
}

/// Every part behind its length, so that no two lists of parts are one material.
pub(crate) fn material(domain: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum::<usize>() + domain.len() + 8);
    for part in std::iter::once(&domain).chain(parts) {
        out.extend((part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// The run that has a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Digest of its decoded input.
    pub fingerprint: Digest,
    /// Whether it is over, and its letter, if it had one, is closed.
    pub over: bool,
    /// Whether its lifetime has ended ([`key_expires`]).
    pub expired: bool,
}

/// What a call gets that brings a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key is free: a new run.
    Fresh,
    /// The run is over: its stored outcome.
    Stored,
    /// The run is not over, wherever it is: its outcome within the caller's patience.
    Joins,
    /// The key was used with another input.
    Conflict,
}

/// Decides on a claim.
#[must_use]
pub fn claim(holder: Option<&Holder>, fingerprint: Digest) -> Claim {
    match holder {
        None => Claim::Fresh,
        Some(holder) if holder.over && holder.expired => Claim::Fresh,
        Some(holder) if holder.fingerprint != fingerprint => Claim::Conflict,
        Some(holder) if holder.over => Claim::Stored,
        Some(_) => Claim::Joins,
    }
}

/// When a key is free again: its lifetime, at least 24 h, after the end of the run. Never while the run is not over or its letter is open.
#[must_use]
pub fn key_expires(finished: Option<Wall>, letter_open: bool, lifetime: Duration) -> Option<Wall> {
    finished
        .filter(|_| !letter_open)
        .map(|finished| finished + lifetime.max(SHORTEST_LIFETIME))
}

/// Whether a run that ended keeps its key, so that a later call gets its outcome. `failure` is `None` after a success; `sent` says that
/// an effect left the host. What was refused before anything was sent gives the key back: the same call may be made again.
#[must_use]
pub fn keeps_key(failure: Option<Code>, sent: bool) -> bool {
    let refused = matches!(
        failure,
        Some(
            Code::BadInput
                | Code::NotFound
                | Code::ToolDisabled
                | Code::Unauthenticated
                | Code::Unreachable
                | Code::Denied
                | Code::NeedsApproval
                | Code::KeyRequired
                | Code::KeyReused
                | Code::KeyInUse
                | Code::BreakerOpen
                | Code::Overloaded
        )
    );
    sent || !refused
}

/// Whether calls of a function of that level must bring a key.
#[must_use]
pub fn demands_key(level: Idempotency) -> bool {
    level == Idempotency::Keyed
}

/// Whether a run may start over from nothing, after those effects: by its level; and under its key where every effect may be repeated and none
/// failed. What the guest did in place of one that failed it might do besides: keys protect what is done again, not what is done anew.
#[must_use]
pub fn may_start_over<'a>(level: Idempotency, effects: impl IntoIterator<Item = &'a Effect>) -> bool {
    match level {
        Idempotency::Readonly | Idempotency::Idempotent => true,
        Idempotency::Keyed => effects
            .into_iter()
            .all(|effect| may_be_repeated(effect) && !has_failed(effect)),
        Idempotency::NonIdempotent => false,
    }
}
