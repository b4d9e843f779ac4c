//! A manifest and its component against the tools that are deployed: whom it may call, and who provides what it imports.

mod interface;
mod types;

use crate::codes;
use crate::diagnostic::{Diagnostic, Span};
use crate::explained::show_grant;
use crate::lower::Lowered;
use crate::suggest;
use fusebox_core::component::{ComponentShape, FunctionShape, Link, ToolImport};
use interface::Interface;

/// The interface by which a component calls other tools by name.
const BY_NAME: &str = "fusebox:host/tools";

/// Everything that does not fit between a tool and those that it may call, and the providers of what its component imports of
/// them. `deployed` gives the shape of a deployed tool.
#[must_use]
pub fn check_links(
    lowered: &Lowered,
    shape: &ComponentShape,
    deployed: &dyn Fn(&str) -> Option<ComponentShape>,
) -> (Vec<Link>, Vec<Diagnostic>) {
    let mut links = Links {
        lowered,
        tools: Vec::new(),
        missing: false,
        links: Vec::new(),
        findings: Vec::new(),
    };
    links.tools(deployed);
    links.calls();
    for import in &shape.tools {
        links.import(import);
    }
    links.by_name(shape);
    (links.links, links.findings)
}

/// The last part of a function's name: the function within its interface.
fn bare(function: &FunctionShape) -> &str {
    function.name.rsplit('.').next().unwrap_or_default()
}

struct Links<'a> {
    lowered: &'a Lowered,
    /// The tools that the manifest names and that are deployed.
    tools: Vec<(&'a str, ComponentShape)>,
    /// Whether one that it names is not.
    missing: bool,
    links: Vec<Link>,
    findings: Vec<Diagnostic>,
}

impl<'a> Links<'a> {
    fn error(&mut self, code: &'static str, at: Option<&Span>, message: String, help: String) {
        self.findings
            .push(Diagnostic::error(code, message).help(help).at(at.cloned()));
    }

    fn span(&self, path: &str) -> Option<&'a Span> {
        self.lowered.provenance.span(path)
    }

    /// Looks up each tool that the manifest names.
    fn tools(&mut self, deployed: &dyn Fn(&str) -> Option<ComponentShape>) {
        let mut asked: Vec<&str> = Vec::new();
        for grant in &self.lowered.policy.tools {
            let name = grant.tool.as_str();
            if asked.contains(&name) {
                continue;
            }
            asked.push(name);
            match deployed(name) {
                Some(shape) => self.tools.push((name, shape)),
                None => {
                    self.missing = true;
                    self.error(
                        codes::NOT_DEPLOYED,
                        self.span(&format!("tools.{}", show_grant(grant))),
                        format!("nobody has deployed a tool `{name}`"),
                        format!(
                            "deploy it first, or in the same command: `fusebox deploy {name}.toml {}.toml`",
                            self.lowered.policy.name
                        ),
                    );
                }
            }
        }
    }

    /// Functions that `tools` and `interrupt-before` name.
    fn calls(&mut self) {
        let policy = &self.lowered.policy;
        let granted = policy.tools.iter().filter_map(|grant| {
            let function = grant.function.as_deref()?;
            Some(("tools", grant.tool.as_str(), function))
        });
        let interrupted = policy
            .interrupt_before
            .iter()
            .map(|(tool, function)| ("interrupt-before", tool.as_str(), function.as_str()));
        for (key, tool, function) in granted.chain(interrupted) {
            let Some((_, shape)) = self.tools.iter().find(|(name, _)| *name == tool) else {
                continue;
            };
            let names = shape.functions.iter().map(|function| function.name.as_str());
            if names.clone().any(|name| name == function) {
                continue;
            }
            let left_out = shape.left_out.iter().find(|(name, _)| name == function);
            let (message, help) = match left_out {
                Some((_, reason)) => (
                    format!("`{tool}.{function}` cannot be called: {reason}"),
                    "leave it out".to_owned(),
                ),
                None => (
                    format!("`{tool}` exports no function `{function}`"),
                    suggest::instead(function, names.collect::<Vec<_>>()),
                ),
            };
            let at = self.span(&format!("{key}.{tool}.{function}"));
            self.error(codes::NO_SUCH_CALL, at, message, help);
        }
    }

    /// Finds the provider of an imported interface.
    fn import(&mut self, import: &ToolImport) {
        let name = &import.interface;
        let wanted = Interface::parse(name);
        let mut found: Vec<(&'a str, Interface)> = Vec::new();
        let mut others = Vec::new();
        for (tool, shape) in &self.tools {
            let exported = shape
                .functions
                .iter()
                .filter_map(|function| function.interface.as_deref());
            let same = exported.map(Interface::parse).filter(|other| other.name == wanted.name);
            let (fit, unfit): (Vec<_>, Vec<_>) = same.partition(|other| other.is_on_track_of(&wanted));
            others.extend(unfit.iter().map(|other| format!("`{tool}` exports `{other}`")));
            if let Some(highest) = fit.into_iter().max_by(|a, b| a.version.cmp(&b.version)) {
                found.push((*tool, highest));
            }
        }
        match found.as_slice() {
            [] => self.nobody(name, others),
            [(tool, exported)] => {
                let (tool, exported) = (*tool, exported.to_string());
                self.link(import, tool, exported);
            }
            many => {
                let tools = suggest::list(many.iter().map(|(tool, _)| *tool)).unwrap_or_default();
                let message = format!("several of the tools that it names export `{name}`: {tools}");
                let help =
                    "name only one of them in `tools`; the others can be called by name from another tool".to_owned();
                self.error(codes::AMBIGUOUS_EXPORTER, self.span("tools"), message, help);
            }
        }
    }

    /// An import that none of the named tools provides.
    fn nobody(&mut self, interface: &str, mut others: Vec<String>) {
        // The one that is not deployed may be the one that provides it.
        if self.missing && others.is_empty() {
            return;
        }
        others.dedup();
        if self.lowered.policy.tools.is_empty() {
            return self.error(
                codes::UNGRANTED_IMPORT,
                self.span("component"),
                format!("the component imports `{interface}` of another tool, and the manifest grants none"),
                "write `tools = [\"NAME\"]` with the name of the tool that exports it".to_owned(),
            );
        }
        let (message, help) = if others.is_empty() {
            (
                format!("the component imports `{interface}`, which none of `tools` exports"),
                "add the tool that exports it to `tools`; `fusebox tools show NAME` lists what a tool exports"
                    .to_owned(),
            )
        } else {
            (
                format!("the component imports `{interface}`, and {}", others.join(", ")),
                "build the component against that version, or deploy a version of the tool that exports the one that is imported"
                    .to_owned(),
            )
        };
        self.error(codes::NO_EXPORTER, self.span("tools"), message, help);
    }

    /// Compares both sides of an import, function by function.
    fn link(&mut self, import: &ToolImport, tool: &'a str, exported: String) {
        let shape = self.tools.iter().find(|(name, _)| *name == tool);
        let functions = shape.map_or(&[][..], |(_, shape)| &shape.functions);
        let mut wrong = Vec::new();
        for wanted in &import.functions {
            let at = format!("`{}` of `{}`", bare(wanted), import.interface);
            let found = functions
                .iter()
                .find(|function| function.interface.as_ref() == Some(&exported) && bare(function) == bare(wanted));
            let Some(found) = found else {
                wrong.push((
                    codes::TYPES_DIFFER,
                    format!("{at} is imported, and `{tool}` does not export it in `{exported}`"),
                    "build both against the same WIT package".to_owned(),
                ));
                continue;
            };
            if let Some(difference) = types::difference(wanted, found) {
                wrong.push((
                    codes::TYPES_DIFFER,
                    format!(
                        "{at}: {} is `{}` in the component and `{}` in `{tool}`",
                        difference.what, difference.here, difference.there
                    ),
                    "build both against the same WIT package".to_owned(),
                ));
            }
            if !self.lowered.policy.may_call(tool, &found.name) {
                wrong.push((
                    codes::UNGRANTED_IMPORT,
                    format!("{at} is imported, and `tools` does not grant `{tool}.{}`", found.name),
                    format!(
                        "add \"{tool}.{}\" to `tools`, or build the component without it",
                        found.name
                    ),
                ));
            }
        }
        if wrong.is_empty() {
            self.links.push(Link {
                interface: import.interface.clone(),
                tool: tool.to_owned(),
                exported,
            });
        }
        for (code, message, help) in wrong {
            self.error(code, self.span("tools"), message, help);
        }
    }

    /// A component that calls tools by name, and may call none, gets a refusal for each call: no error, because the world of agents has
    /// that import whether it is used or not.
    fn by_name(&mut self, shape: &ComponentShape) {
        let imports = shape.imports.iter().map(|import| Interface::parse(import));
        if self.lowered.policy.agent || !imports.into_iter().any(|import| import.name == BY_NAME) {
            return;
        }
        let message = format!("the component imports `{BY_NAME}`, and the manifest lets it call no tool");
        self.findings.push(
            Diagnostic::warning(codes::UNGRANTED_IMPORT, message)
                .help("write `tools = [\"NAME\"]` with the tools that it may call")
                .at(self.span("component").cloned()),
        );
    }
}

#[cfg(test)]
pub(crate) mod tests;
