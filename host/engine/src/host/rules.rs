//! The rules through the facade.

use super::Host;
use crate::permission::Action;
use crate::ports::authorizer::{Decision, Rule, RuleFinding};
use crate::requests::Caller;
use crate::rules::{self, Trial};
use fusebox_core::failure::Failure;

type Answer<T> = Result<T, Box<Failure>>;

impl Host {
    /// The rules in force, in the order of their files.
    ///
    /// # Errors
    /// That the caller may not see them.
    pub fn rules(&self, caller: &Caller) -> Answer<Vec<Rule>> {
        caller.may(Action::SeeRules)?;
        Ok(self.engine.ports.authorizer.rules())
    }

    /// What is wrong with the rule files, by the types of the tenant's tools.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rule_findings(&self, caller: &Caller) -> Answer<Vec<RuleFinding>> {
        caller.may(Action::SeeRules)?;
        rules::learn(&self.engine, &caller.tenant).await?;
        Ok(self.engine.ports.authorizer.findings())
    }

    /// The types that rules know of the tenant's tools, in their own language.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rule_schema(&self, caller: &Caller) -> Answer<String> {
        caller.may(Action::SeeRules)?;
        rules::learn(&self.engine, &caller.tenant).await?;
        Ok(self.engine.ports.authorizer.schema(&caller.tenant))
    }

    /// What the rules would say to somebody's question. Nothing is done, and nothing is written.
    ///
    /// # Errors
    /// That there is no such function, or that it takes no such input.
    pub async fn judge(&self, caller: &Caller, trial: &Trial) -> Answer<Decision> {
        caller.may(Action::SeeRules)?;
        rules::judge(&self.engine, caller, trial).await
    }
}
