//! Who may call what: asked once for each call, after its input was decoded and before anything is claimed.

use async_trait::async_trait;

/// What a rule may look at.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Tenant of the call.
    pub tenant: &'a str,
    /// Who calls.
    pub principal: &'a str,
    /// Deployed tool.
    pub tool: &'a str,
    /// Exported function.
    pub function: &'a str,
    /// The input as JSON text, as the caller wrote it.
    pub input: &'a str,
}

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The call goes on.
    Allow,
    /// The call waits for a person.
    Approve,
    /// The call ends; the reason is told to the caller.
    Deny {
        /// Which rule refused, and whom to ask.
        reason: String,
    },
}

/// Decides calls by their arguments.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// Decides one call.
    async fn decide(&self, question: &Question<'_>) -> Decision;
}

/// The authorizer of a host without rules: whoever reaches it may call everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

#[async_trait]
impl Authorizer for AllowAll {
    async fn decide(&self, _question: &Question<'_>) -> Decision {
        Decision::Allow
    }
}
