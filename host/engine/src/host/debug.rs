//! Debugging through the facade.

use super::Host;
use crate::debug::{DebugReport, Debugging};
use crate::permission::Action;
use crate::requests::Caller;
use fusebox_core::failure::Failure;
use fusebox_core::ids::LetterId;
use std::time::Duration;

/// Wall time of a replay that nobody says otherwise of.
const TIME: Duration = Duration::from_secs(60);

impl Host {
    /// A letter whose last attempt is run again, offline and without any effect.
    ///
    /// # Errors
    /// That there is no such letter, or those of the store.
    pub async fn debug(&self, caller: &Caller, letter: &LetterId) -> Result<DebugReport, Box<Failure>> {
        caller.may(Action::SeeLetters)?;
        self.debugging(caller, letter, TIME).await?.report(false).await
    }

    /// The same, to be gone through step by step; each replay is stopped after `time`.
    ///
    /// # Errors
    /// That there is no such letter, or those of the store.
    pub async fn debugging(
        &self,
        caller: &Caller,
        letter: &LetterId,
        time: Duration,
    ) -> Result<Debugging, Box<Failure>> {
        caller.may(Action::SeeLetters)?;
        let letter = self.letter(caller, letter).await?;
        Debugging::of(&self.engine, letter, time).await
    }
}
