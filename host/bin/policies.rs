//! Stored manifests, lowered again under the operator's settings of today.

use fusebox_core::policy::ToolPolicy;
use fusebox_engine::ports::policies::PolicySource;
use fusebox_manifest::render::brief;
use fusebox_manifest::{HostFile, Manifest, Presets};

/// Lowers stored manifests.
pub(crate) struct Policies {
    /// The operator's settings.
    pub(crate) host: HostFile,
    /// The presets.
    pub(crate) presets: Presets,
}

impl PolicySource for Policies {
    fn lower(&self, tool: &str, manifest: &str) -> Result<ToolPolicy, String> {
        let file = format!("{tool}.toml");
        let (lowered, findings) = Manifest::read(&file, manifest, &self.presets, &self.host);
        lowered.map(|lowered| lowered.policy).ok_or_else(|| {
            let errors: Vec<_> = findings
                .iter()
                .filter(|finding| finding.is_error())
                .map(brief)
                .collect();
            errors.join("\n")
        })
    }
}
