//! What a compiled component offers and needs: its functions as tools, what is left out and why, its imports.

pub(crate) mod imports;
pub(crate) mod wit_type;

use fusebox_core::component::{ComponentShape, FunctionShape};
use imports::{Imported, Imports, Missing};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};
use wit_type::{Field, Name, Unfolding, WitType};

/// All that is needed to call one exported function.
pub(crate) struct Callable {
    /// Its name in the component's shape.
    pub(crate) name: String,
    /// The exported interface; `None` for a function of the world itself.
    pub(crate) interface: Option<String>,
    pub(crate) params: Vec<Field>,
    /// `None` when it returns nothing: the call then yields no result value.
    pub(crate) result: Option<WitType>,
    /// Finds the function in an instance without a look-up by name.
    pub(crate) export: ComponentExportIndex,
}

/// A component as it is seen from outside.
pub(crate) struct Surface {
    pub(crate) shape: ComponentShape,
    /// Functions by their names in the shape.
    pub(crate) callables: HashMap<String, Arc<Callable>>,
    /// Interfaces of other tools that it imports.
    pub(crate) tools: Vec<Imported>,
    /// Imports that nobody provides.
    pub(crate) missing: Vec<Missing>,
}

impl Surface {
    /// Reads the types of a compiled component; `provided` tells which imports the host satisfies.
    pub(crate) fn of(component: &Component, provided: impl Fn(&str) -> bool) -> Self {
        let imports = Imports::of(component, provided);
        let mut shape = ComponentShape {
            missing_imports: imports.missing.iter().map(|missing| missing.name.clone()).collect(),
            tools: imports.tools.iter().map(Imported::shape).collect(),
            imports: imports.provided,
            ..ComponentShape::default()
        };
        let exports = exported_functions(component);
        let names = tool_names(&exports);
        let mut callables = HashMap::new();
        for (export, name) in exports.into_iter().zip(names) {
            match callable(export, name.clone()) {
                Ok(callable) => {
                    shape.functions.push(function_shape(&callable));
                    callables.insert(name, Arc::new(callable));
                }
                Err(reason) => shape.left_out.push((name, reason)),
            }
        }
        Self {
            shape,
            callables,
            tools: imports.tools,
            missing: imports.missing,
        }
    }
}

/// An exported function before its types are known to fit.
struct Export {
    interface: Option<String>,
    function: String,
    ty: ComponentFunc,
    index: ComponentExportIndex,
}

/// Functions of the world, then those of its interfaces, as the component lists them. `wasi:` exports, such as
/// `wasi:cli/run`, are entry points of other hosts and never tools.
fn exported_functions(component: &Component) -> Vec<Export> {
    let engine = component.engine();
    let mut found = Vec::new();
    for (name, export) in component.component_type().exports(engine) {
        let Some(index) = component.get_export_index(None, name) else {
            continue;
        };
        match export.ty {
            ComponentItem::ComponentFunc(ty) => found.push(Export {
                interface: None,
                function: name.to_owned(),
                ty,
                index,
            }),
            ComponentItem::ComponentInstance(interface) if !name.starts_with("wasi:") => {
                for (function, item) in interface.exports(engine) {
                    let index = component.get_export_index(Some(&index), function);
                    if let (ComponentItem::ComponentFunc(ty), Some(index)) = (item.ty, index) {
                        let interface = Some(name.to_owned());
                        let function = function.to_owned();
                        found.push(Export {
                            interface,
                            function,
                            ty,
                            index,
                        });
                    }
                }
            }
            _ => {}
        }
    }
    found.retain(|export| !is_initialiser(export));
    found
}

/// What componentize-py (`init` of the instance `exports`) and componentize-qjs (`init` of these parameters) leave behind: it ran when
/// the component was made, and is no tool.
fn is_initialiser(export: &Export) -> bool {
    let params: Vec<_> = export.ty.params().map(|(name, _)| name).collect();
    export.function == "init"
        && match export.interface.as_deref() {
            Some(interface) => interface == "exports",
            None => params == ["shim", "script", "entry-path", "disable-gc"],
        }
}

/// `query`; where several interfaces export one, `iface.query`; where even that is ambiguous, with the whole name of
/// the interface. A function of the world keeps its bare name.
fn tool_names(exports: &[Export]) -> Vec<String> {
    let spellings: Vec<_> = exports.iter().map(spellings).collect();
    let mut uses = BTreeMap::new();
    for name in spellings.iter().flatten() {
        *uses.entry(name).or_insert(0_u32) += 1;
    }
    let chosen = spellings.iter().map(|names| {
        let unique = names.iter().find(|name| uses.get(name) == Some(&1));
        unique.or(names.last()).cloned().unwrap_or_default()
    });
    chosen.collect()
}

/// The names that a function could have, shortest first.
fn spellings(export: &Export) -> Vec<String> {
    let function = &export.function;
    let mut names = vec![function.clone()];
    if let Some(whole) = &export.interface {
        let last = whole.rsplit('/').next().unwrap_or(whole);
        let last = last.split('@').next().unwrap_or(last);
        names.push(format!("{last}.{function}"));
        names.push(format!("{whole}.{function}"));
        names.dedup();
    }
    names
}

fn callable(export: Export, name: String) -> Result<Callable, String> {
    let (params, result) = signature(&export.function, &export.ty)?;
    Ok(Callable {
        name,
        interface: export.interface,
        params,
        result,
        export: export.index,
    })
}

/// Parameters and result of a function.
///
/// # Errors
/// Why it cannot be called with JSON.
fn signature(function: &str, ty: &ComponentFunc) -> Result<(Vec<Field>, Option<WitType>), String> {
    if function.starts_with('[') {
        return Err("it belongs to a resource, which JSON cannot express".to_owned());
    }
    if ty.async_() {
        return Err("it is an async function, which this host does not run".to_owned());
    }
    let mut unfolding = Unfolding::new();
    let mut params = Vec::new();
    for (param, ty) in ty.params() {
        let ty = unfolding.step(param, &ty)?;
        params.push(Field {
            name: Name::new(param),
            ty,
        });
    }
    let result = ty.results().next();
    let result = result.map(|ty| unfolding.step("result", &ty)).transpose()?;
    Ok((params, result))
}

/// Name and type of a parameter, as a shape has them.
fn shown(field: &Field) -> (String, String) {
    (field.name.kebab().to_owned(), field.ty.to_string())
}

fn function_shape(callable: &Callable) -> FunctionShape {
    FunctionShape {
        name: callable.name.clone(),
        interface: callable.interface.clone(),
        params: callable.params.iter().map(shown).collect(),
        result: callable.result.as_ref().map(WitType::to_string),
        error_cases: callable.result.as_ref().and_then(error_cases),
    }
}

fn error_cases(result: &WitType) -> Option<Vec<String>> {
    let WitType::Result(result) = result else {
        return None;
    };
    match &result.1 {
        Some(WitType::Variant(cases)) => Some(cases.iter().map(|case| case.name.kebab().to_owned()).collect()),
        Some(WitType::Enum(names)) => Some(names.iter().map(|name| name.kebab().to_owned()).collect()),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
