//! Delays between attempts: exponential, capped, then spread (semantics.md §4).

use crate::policy::{BackoffPolicy, Jitter};
use std::time::Duration;

/// A spread delay is never shorter, so that a draw of zero is not a hammer.
const SHORTEST: Duration = Duration::from_millis(1);

/// The delay before attempt `made + 1`, after `made` attempts (at least 1) at this resume point.
///
/// `previous` is the delay before the attempt that just failed, for decorrelated jitter; `fraction` is drawn from `[0, 1)`.
/// Formulas: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[must_use]
pub fn delay(policy: &BackoffPolicy, made: u32, previous: Option<Duration>, fraction: f64) -> Duration {
    let capped = capped(policy, made);
    match policy.jitter {
        Jitter::None => capped,
        Jitter::Full => share(capped, fraction).max(SHORTEST).min(capped),
        Jitter::Decorrelated => {
            let base = policy.base.min(policy.cap);
            let top = previous.unwrap_or(base).saturating_mul(3).max(base);
            (base + share(top - base, fraction)).min(policy.cap)
        }
    }
}

/// `min(cap, base · factor^(made - 1))`, saturating.
fn capped(policy: &BackoffPolicy, made: u32) -> Duration {
    u128::from(policy.factor.max(1))
        .checked_pow(made.saturating_sub(1))
        .and_then(|growth| growth.checked_mul(policy.base.as_nanos()))
        .and_then(|nanos| u64::try_from(nanos).ok())
        .map_or(policy.cap, |nanos| Duration::from_nanos(nanos).min(policy.cap))
}

/// That part of a duration; a fraction outside `[0, 1]`, or no number, is brought back into it.
pub(crate) fn share(whole: Duration, fraction: f64) -> Duration {
    let fraction = if fraction.is_nan() {
        1.0
    } else {
        fraction.clamp(0.0, 1.0)
    };
    Duration::try_from_secs_f64(whole.as_secs_f64() * fraction).map_or(whole, |part| part.min(whole))
}
