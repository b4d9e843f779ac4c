//! The retry budget of a service: a token bucket that keeps retries from multiplying an outage (vectors/standard-retry.yaml).

use crate::policy::BudgetPolicy;

/// The bucket holds less than a retry costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the retry budget is used up: {left} tokens are left and a retry costs {cost}")]
pub struct Empty {
    /// Tokens in the bucket.
    pub left: u32,
    /// Tokens that the retry would have cost.
    pub cost: u32,
}

/// What one retry cost. A success gives it back; dropping it gives nothing back, as after a failed or cancelled call.
#[derive(Debug, PartialEq, Eq)]
pub struct Charge(u32);

/// Tokens of one service, shared by all calls that use it.
#[derive(Clone, Debug)]
pub struct Budget {
    policy: BudgetPolicy,
    tokens: u32,
}

impl Budget {
    /// A full bucket.
    #[must_use]
    pub fn new(policy: BudgetPolicy) -> Self {
        Self {
            policy,
            tokens: policy.capacity,
        }
    }

    /// Tokens in the bucket.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Takes what a retry costs; the cost differs after throttling.
    ///
    /// # Errors
    /// [`Empty`], and nothing is taken.
    pub fn try_retry(&mut self, throttled: bool) -> Result<Charge, Empty> {
        let cost = if throttled {
            self.policy.throttled_cost
        } else {
            self.policy.retry_cost
        };
        // A bucket without capacity means one attempt, even where a retry costs nothing.
        if self.policy.capacity == 0 || self.tokens < cost {
            return Err(Empty {
                left: self.tokens,
                cost,
            });
        }
        self.tokens -= cost;
        Ok(Charge(cost))
    }

    /// A call succeeded: gives back what its last retry cost, or the refund of a success at the first attempt.
    pub fn succeeded(&mut self, last_retry: Option<Charge>) {
        let refund = last_retry.map_or(self.policy.success_refund, |charge| charge.0);
        self.tokens = self.tokens.saturating_add(refund).min(self.policy.capacity);
    }

    /// Goes on under another policy; a bucket that was full stays full, and none holds more than it can.
    pub fn reconfigure(&mut self, policy: BudgetPolicy) {
        let full = self.tokens == self.policy.capacity;
        self.tokens = if full {
            policy.capacity
        } else {
            self.tokens.min(policy.capacity)
        };
        self.policy = policy;
    }
}
