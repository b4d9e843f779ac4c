//! The guard around one effect, by itself, so that its cost can be measured: breaker, verdict, retry budget.

use crate::breakers::Cell;
use crate::ports::clock::Clock;
use crate::ports::entropy::Entropy;
use crate::services::Service;
use fusebox_core::breaker::Refusal;
use fusebox_core::classify;
use fusebox_core::effect::Answer;
use fusebox_core::policy::ServicePolicy;
use std::sync::Arc;

/// What stands around every effect of a service, as the pipeline has it, without the effect.
pub struct Guard {
    clock: Arc<dyn Clock>,
    service: Service,
}

impl Guard {
    /// The guard of a service that nobody else uses and nothing stores.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: &Arc<dyn Entropy>, policy: ServicePolicy) -> Self {
        let breaker = Cell::alone(&clock, entropy, &policy.name, &policy.breaker);
        Self {
            service: Service::new(&policy.name.clone(), policy, breaker, None, None),
            clock,
        }
    }

    /// Everything that an effect answered so at the first attempt costs: admission, verdict, settlement, and the refund of the call.
    ///
    /// # Errors
    /// [`Refusal`] once the breaker is open.
    pub fn pass(&self, answer: &Answer) -> Result<(), Refusal> {
        let sent = self.clock.tick();
        let held = self.service.breaker.admit(sent)?;
        let now = self.clock.tick();
        held.settle(classify::verdict_of(answer), now.since(sent), now);
        self.service.budget().succeeded(None);
        Ok(())
    }
}
