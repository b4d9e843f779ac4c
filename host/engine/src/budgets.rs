//! What the retries of one run cost their services, and what its success gives back.

use crate::services::Service;
use fusebox_core::budget::Charge;
use std::sync::Arc;
use std::time::Duration;

/// The retries of one run so far.
#[derive(Default)]
pub(crate) struct Retries {
    last: Option<(Arc<Service>, Charge)>,
    previous: Option<Duration>,
}

impl Retries {
    /// A retry was paid for. What earlier ones cost is spent: a success gives back only its last.
    pub(crate) fn charged(&mut self, service: Option<&Arc<Service>>, charge: Option<Charge>) {
        self.last = service.cloned().zip(charge);
    }

    /// The run got further than before: its delays begin anew.
    pub(crate) fn got_further(&mut self) {
        if self.previous.is_some() {
            self.previous = Some(Duration::ZERO);
        }
    }

    /// The delay before the coming attempt.
    pub(crate) fn waited(&mut self, delay: Duration) {
        self.previous = Some(delay);
    }

    /// The delay before the attempt that was made last.
    pub(crate) fn previous(&self) -> Option<Duration> {
        self.previous
    }

    /// The run succeeded: its last retry is given back, or every service that a first attempt used gets its refund.
    pub(crate) fn succeeded(&mut self, used: &[Arc<Service>]) {
        match self.last.take() {
            Some((service, charge)) => service.budget().succeeded(Some(charge)),
            None if self.previous.is_none() => used.iter().for_each(|service| service.budget().succeeded(None)),
            None => {}
        }
    }
}
