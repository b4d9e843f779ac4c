//! Who may do what: asked for each call after its input was decoded and before anything is claimed, and again for what acts on a run.

use super::sandbox::Input;
use crate::records::{ApprovalRecord, RunRecord};
use async_trait::async_trait;
use fusebox_core::component::FunctionShape;
use fusebox_core::ids::Digest;
use fusebox_core::role::Roles;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Call a function.
    Call,
    /// Decide what waits for a person, either way.
    Approve,
    /// Replay a dead letter, or resume a run that has failed.
    Replay,
    /// Register a version of a tool.
    Deploy,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Call, Self::Approve, Self::Replay, Self::Deploy];

    /// As rules spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "Call",
            Self::Approve => "Approve",
            Self::Replay => "Replay",
            Self::Deploy => "Deploy",
        }
    }

    /// The act of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }
}

/// A function with arguments that are known.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    /// The component that the function is in.
    pub component: Digest,
    /// The function's name and types.
    pub shape: &'a FunctionShape,
    /// Its arguments.
    pub input: &'a dyn Input,
}

/// What a rule may look at.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Tenant of whoever asks.
    pub tenant: &'a str,
    /// Who wants it: of a nested call, the principal of its root.
    pub principal: &'a str,
    /// What they are to the host.
    pub roles: Roles,
    /// What they want.
    pub act: Act,
    /// Deployed tool.
    pub tool: &'a str,
    /// Exported function; `None` when the whole tool is meant.
    pub function: Option<&'a str>,
    /// The arguments, where there are any.
    pub arguments: Option<Arguments<'a>>,
    /// The run that is replayed or waits.
    pub run: Option<&'a RunRecord>,
    /// What is to be decided.
    pub approval: Option<&'a ApprovalRecord>,
    /// Of a nested call, or of what is to be decided: the functions that it comes from as `tool.function`, the root's first.
    pub chain: &'a [String],
}

/// Whether a function may show up in somebody's list.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// Tenant of whoever asks.
    pub tenant: &'a str,
    /// Who asks.
    pub principal: &'a str,
    /// What they are to the host.
    pub roles: Roles,
    /// Deployed tool.
    pub tool: &'a str,
    /// Exported function.
    pub function: &'a str,
}

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is permitted.
    Allow,
    /// It waits for a person.
    Approve {
        /// The rule that asks for it.
        rule: String,
    },
    /// It is refused; the reason is told to whoever wants it.
    Deny {
        /// Which rule refused, and whom to ask.
        reason: String,
    },
}

impl Decision {
    /// Both have a say, and the stricter one holds.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (deny @ Self::Deny { .. }, _) | (_, deny @ Self::Deny { .. }) => deny,
            (approve @ Self::Approve { .. }, _) | (_, approve @ Self::Approve { .. }) => approve,
            (Self::Allow, Self::Allow) => Self::Allow,
        }
    }
}

/// One rule in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name: the annotation `@id`, or file and position.
    pub name: String,
    /// `permit`, `permit after approval` or `forbid`.
    pub effect: &'static str,
    /// The file that it stands in, and its first line.
    pub place: String,
    /// As it is written.
    pub text: String,
}

/// What is wrong with rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFinding {
    /// Whether rules are out of force because of it; else it is worth a look.
    pub is_error: bool,
    /// File and line.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Decides by rules.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// Decides one question.
    async fn decide(&self, question: &Question<'_>) -> Decision;

    /// Whether a call may be permitted for some arguments; what can never be is not listed.
    fn may_list(&self, listing: &Listing<'_>) -> bool;

    /// Takes note of the types of a deployed tool, which rules are checked against.
    fn learn(&self, _tenant: &str, _tool: &str, _functions: &[FunctionShape]) {}

    /// The rules in force, in the order of their files.
    fn rules(&self) -> Vec<Rule> {
        Vec::new()
    }

    /// What is wrong with the rule files as they are now, by the types that were learned.
    fn findings(&self) -> Vec<RuleFinding> {
        Vec::new()
    }

    /// The types of the tools that were learned, in the language of the rules; empty where it has none.
    fn schema(&self, _tenant: &str) -> String {
        String::new()
    }

    /// Grows by one when other rules come into force.
    fn version(&self) -> u64 {
        0
    }
}

/// The authorizer of a host without rules: whoever has the role may do it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

#[async_trait]
impl Authorizer for AllowAll {
    async fn decide(&self, _question: &Question<'_>) -> Decision {
        Decision::Allow
    }

    fn may_list(&self, _listing: &Listing<'_>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_decisions_the_stricter_one_holds() {
        let approve = Decision::Approve { rule: "r".to_owned() };
        let deny = Decision::Deny {
            reason: "no".to_owned(),
        };
        let strict = [Decision::Allow, approve, deny];
        for (a, one) in strict.iter().enumerate() {
            for (b, other) in strict.iter().enumerate() {
                assert_eq!(one.clone().and(other.clone()), strict[a.max(b)]);
            }
        }
    }
}
