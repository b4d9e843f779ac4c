//! From a stored manifest back to effective policy, under the operator's settings of today.

use fusebox_core::policy::ToolPolicy;

/// Lowers manifests.
pub trait PolicySource: Send + Sync {
    /// The effective policy of a manifest that was accepted at deploy.
    ///
    /// # Errors
    /// The rendered diagnostics, when the operator's settings no longer admit it.
    fn lower(&self, tool: &str, manifest: &str) -> Result<ToolPolicy, String>;
}
