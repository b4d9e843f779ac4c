//! What a component imports: what the host provides, interfaces of other tools, and what nobody has.

use super::wit_type::{Field, WitType};
use super::{error_cases, shown, signature};
use fusebox_core::component::{FunctionShape, ToolImport};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentInstance, ComponentItem};

/// Packages of the host: what it does not provide of them, no tool provides either.
const OF_HOSTS: [&str; 2] = ["wasi:", "fusebox:"];

/// What a component imports, types and what consists of nothing but types left out: the component itself satisfies them.
#[derive(Default)]
pub(crate) struct Imports {
    /// Provided by the host.
    pub(crate) provided: Vec<String>,
    /// Interfaces of other tools.
    pub(crate) tools: Vec<Imported>,
    /// Provided by nobody.
    pub(crate) missing: Vec<Missing>,
}

/// An interface of another tool.
pub(crate) struct Imported {
    /// Such as `acme:search/api@1.0.0`.
    pub(crate) interface: String,
    pub(crate) functions: Vec<ImportedFunction>,
}

/// One function of another tool, as the component wants it.
pub(crate) struct ImportedFunction {
    pub(crate) name: String,
    pub(crate) params: Vec<Field>,
    /// `None` when it returns nothing.
    pub(crate) result: Option<WitType>,
}

/// An import that nobody provides.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) name: String,
    /// Why no other tool can provide it either, where that is not plain from its name.
    pub(crate) why: Option<String>,
}

impl Imports {
    /// Reads the imports of a component; `provided` tells which of them the host satisfies.
    pub(super) fn of(component: &Component, provided: impl Fn(&str) -> bool) -> Self {
        let engine = component.engine();
        let mut imports = Self::default();
        for (name, import) in component.component_type().imports(engine) {
            if needs_nothing(&import.ty, engine) {
                continue;
            }
            if provided(name) {
                imports.provided.push(name.to_owned());
                continue;
            }
            let of_a_tool = match &import.ty {
                ComponentItem::ComponentInstance(interface) if may_be_a_tools(name) => {
                    Imported::of(name, interface, engine).map_err(Some)
                }
                _ => Err(None),
            };
            match of_a_tool {
                Ok(imported) => imports.tools.push(imported),
                Err(why) => imports.missing.push(Missing {
                    name: name.to_owned(),
                    why,
                }),
            }
        }
        imports
    }
}

/// Whether it is named like an interface of a package, and not of one of the host's.
fn may_be_a_tools(name: &str) -> bool {
    let of_a_package = name.split_once('/').is_some_and(|(package, _)| package.contains(':'));
    of_a_package && !OF_HOSTS.iter().any(|own| name.starts_with(own))
}

impl Imported {
    fn of(name: &str, interface: &ComponentInstance, engine: &Engine) -> Result<Self, String> {
        let mut functions = Vec::new();
        for (function, item) in interface.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(ty) => {
                    let (params, result) = signature(function, &ty).map_err(|why| format!("`{function}`: {why}"))?;
                    functions.push(ImportedFunction {
                        name: function.to_owned(),
                        params,
                        result,
                    });
                }
                ComponentItem::Type(_) => {}
                _ => return Err(format!("`{function}` is a resource, which JSON cannot express")),
            }
        }
        Ok(Self {
            interface: name.to_owned(),
            functions,
        })
    }

    pub(super) fn shape(&self) -> ToolImport {
        let function = |function: &ImportedFunction| FunctionShape {
            name: function.name.clone(),
            interface: Some(self.interface.clone()),
            params: function.params.iter().map(shown).collect(),
            result: function.result.as_ref().map(WitType::to_string),
            error_cases: function.result.as_ref().and_then(error_cases),
        };
        ToolImport {
            interface: self.interface.clone(),
            functions: self.functions.iter().map(function).collect(),
        }
    }
}

/// An imported type, or an interface of nothing but types, is satisfied by the component itself.
fn needs_nothing(import: &ComponentItem, engine: &Engine) -> bool {
    match import {
        ComponentItem::Type(_) => true,
        ComponentItem::ComponentInstance(interface) => {
            let mut items = interface.exports(engine);
            items.all(|(_, item)| needs_nothing(&item.ty, engine))
        }
        _ => false,
    }
}
