//! Which core instances a component makes, in order, and how many globals and memories each defines: what it takes to
//! put the flat lists of a core dump back in order.

use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Instance, Parser, Payload,
};

/// Instances beyond these are not followed: components that instantiate each other twice double at every step.
const FOLLOWED: usize = 4_096;

/// The core instances of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// In the order in which they are made.
    pub(crate) instances: Vec<Defines>,
    /// Whether that is all: modules that come from outside, or by an alias, are not followed.
    pub(crate) complete: bool,
}

/// What one core module defines, imports left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Defines {
    pub(crate) globals: u32,
    pub(crate) memories: u32,
    pub(crate) tables: u32,
}

impl Layout {
    /// Reads the layout of a valid component.
    ///
    /// # Errors
    /// The parser's.
    pub(crate) fn of(wasm: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut open = vec![Open::Component(Scope::default())];
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            match payload {
                Payload::ModuleSection { .. } => open.push(Open::Module(Defines::default())),
                Payload::ComponentSection { .. } => open.push(Open::Component(Scope::default())),
                Payload::End(_) if open.len() > 1 => close(&mut open),
                payload => match open.last_mut() {
                    Some(Open::Module(module)) => module.read(&payload),
                    Some(Open::Component(scope)) => scope.read(payload)?,
                    None => {}
                },
            }
        }
        let root = open.into_iter().next();
        Ok(match root {
            Some(Open::Component(scope)) => scope.made(),
            _ => Self::default(),
        })
    }

    /// Globals and memories of all instances together.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let sum = |count: fn(&Defines) -> u32| self.instances.iter().map(|defines| count(defines) as usize).sum();
        (sum(|defines| defines.globals), sum(|defines| defines.memories))
    }

    /// Core instances, memories and tables, whichever are most.
    pub(crate) fn largest_count(&self) -> u64 {
        let sum = |count: fn(&Defines) -> u32| self.instances.iter().map(|defines| u64::from(count(defines))).sum();
        let instances = self.instances.len() as u64;
        instances
            .max(sum(|defines| defines.memories))
            .max(sum(|defines| defines.tables))
    }
}

/// A module or component that is being read.
enum Open {
    Module(Defines),
    Component(Scope),
}

/// Index spaces of one component; `None` for what comes from elsewhere.
#[derive(Default)]
struct Scope {
    modules: Vec<Option<Defines>>,
    components: Vec<Option<Layout>>,
    instances: Vec<Defines>,
    foreign: bool,
}

fn close(open: &mut Vec<Open>) {
    let done = open.pop();
    let Some(Open::Component(parent)) = open.last_mut() else {
        return;
    };
    match done {
        Some(Open::Module(module)) => parent.modules.push(Some(module)),
        Some(Open::Component(scope)) => parent.components.push(Some(scope.made())),
        None => {}
    }
}

impl Defines {
    fn read(&mut self, payload: &Payload<'_>) {
        match payload {
            Payload::GlobalSection(section) => self.globals = self.globals.saturating_add(section.count()),
            Payload::MemorySection(section) => self.memories = self.memories.saturating_add(section.count()),
            Payload::TableSection(section) => self.tables = self.tables.saturating_add(section.count()),
            _ => {}
        }
    }
}

impl Scope {
    fn made(self) -> Layout {
        Layout {
            instances: self.instances,
            complete: !self.foreign,
        }
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.instantiate_module(module_index);
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.instantiate_component(component_index);
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.modules.push(None),
                        ComponentTypeRef::Component(_) => self.components.push(None),
                        _ => {}
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias?);
                }
            }
            Payload::ComponentExportSection(section) => {
                // An export puts another name, and another index, on what it exports.
                for export in section {
                    let export = export?;
                    let index = export.index as usize;
                    match export.kind {
                        ComponentExternalKind::Module => self.modules.push(self.modules.get(index).copied().flatten()),
                        ComponentExternalKind::Component => {
                            self.components.push(self.components.get(index).cloned().flatten());
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn instantiate_module(&mut self, index: u32) {
        match self.modules.get(index as usize) {
            Some(Some(module)) if self.instances.len() < FOLLOWED => self.instances.push(*module),
            _ => self.foreign = true,
        }
    }

    fn instantiate_component(&mut self, index: u32) {
        match self.components.get(index as usize) {
            Some(Some(component)) if self.instances.len() + component.instances.len() <= FOLLOWED => {
                self.instances.extend_from_slice(&component.instances);
                self.foreign |= !component.complete;
            }
            _ => self.foreign = true,
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match alias {
            ComponentAlias::InstanceExport { kind, .. } => match kind {
                ComponentExternalKind::Module => self.modules.push(None),
                ComponentExternalKind::Component => self.components.push(None),
                _ => {}
            },
            ComponentAlias::Outer { kind, .. } => match kind {
                ComponentOuterAliasKind::CoreModule => self.modules.push(None),
                ComponentOuterAliasKind::Component => self.components.push(None),
                _ => {}
            },
            ComponentAlias::CoreInstanceExport { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn defines(globals: u32, memories: u32, tables: u32) -> Defines {
        Defines {
            globals,
            memories,
            tables,
        }
    }

    #[test]
    fn instances_come_in_the_order_of_their_making_with_nested_ones_in_place() {
        let wasm = wat::parse_str(
            r#"(component
                (core module $a (memory 1) (global i32 (i32.const 1)))
                (core module $b (import "m" "g" (global i32)) (table 1 funcref))
                (component $inner (core module $c (global i32 (i32.const 1)) (global i64 (i64.const 2)))
                    (core instance (instantiate $c)))
                (core instance (instantiate $a))
                (instance (instantiate $inner))
                (core instance (instantiate $a)))"#,
        )
        .unwrap();
        let layout = Layout::of(&wasm).unwrap();
        assert_eq!(layout.instances, [defines(1, 1, 0), defines(2, 0, 0), defines(1, 1, 0)]);
        assert!(layout.complete);
        assert_eq!((layout.totals(), layout.largest_count()), ((4, 2), 3));
    }

    #[test]
    fn a_module_from_outside_is_not_followed() {
        let wasm =
            wat::parse_str(r#"(component (import "m" (core module $m)) (core instance (instantiate $m)))"#).unwrap();
        assert!(!Layout::of(&wasm).unwrap().complete);
    }
}
