//! Tools and components of one tenant.

use super::Tenant;
use crate::ports::store::{Space, StoreError, ToolChange};
use crate::records::ToolRecord;
use crate::requests::digest_of;
use bytes::Bytes;

impl Tenant {
    pub(super) fn deploy(&mut self, mut tool: ToolRecord, component: Bytes) -> Result<(ToolRecord, bool), StoreError> {
        if digest_of(&component) != tool.component {
            return Err(StoreError::Refused {
                what: format!(
                    "the component of tool `{}` does not have the digest {}",
                    tool.name, tool.component
                ),
            });
        }
        let versions = self.tools.entry(tool.name.clone()).or_default();
        if let Some(newest) = versions.last() {
            if newest.component == tool.component && newest.manifest == tool.manifest && newest.links == tool.links {
                return Ok((newest.clone(), false));
            }
            // Only an operator enables what an operator disabled.
            tool.enabled = newest.enabled;
        }
        let highest = self.numbers.entry(tool.name.clone()).or_default();
        *highest += 1;
        tool.number = *highest;
        versions.push(tool.clone());
        self.components.insert(tool.component, component);
        Ok((tool, true))
    }

    pub(super) fn change_tool(&mut self, name: &str, change: ToolChange) -> bool {
        let Some(versions) = self.tools.get_mut(name) else {
            return false;
        };
        match change {
            ToolChange::Enable => versions.iter_mut().for_each(|tool| tool.enabled = true),
            ToolChange::Disable => versions.iter_mut().for_each(|tool| tool.enabled = false),
            ToolChange::Remove => {
                self.tools.remove(name);
                let used: Vec<_> = self.tools.values().flatten().map(|tool| tool.component).collect();
                self.components.retain(|digest, _| used.contains(digest));
                let space = Space::Tool(name.to_owned());
                self.state.retain(|(of, _), _| *of != space);
            }
        }
        true
    }
}
