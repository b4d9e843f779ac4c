//! From the values of a manifest to effective policy, with the origin of each value.

pub(crate) mod breaker;
mod calls;
pub(crate) mod function;
pub(crate) mod limits;
pub(crate) mod retry;
pub(crate) mod service;

use crate::diagnostic::{Diagnostic, Span};
use crate::form::ComponentRef;
use crate::host_file::HostFile;
use crate::node::{Placed, Table};
use crate::presets::Presets;
use crate::provenance::{Clamp, Provenance, SetBy};
use crate::units;
use crate::words::Words;
use crate::{codes, rules};
use fusebox_core::policy::ToolPolicy;
use std::fmt::Display;
use std::time::Duration;

/// What a manifest came down to.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Effective policy.
    pub policy: ToolPolicy,
    /// Where each of its values came from.
    pub provenance: Provenance,
    /// Where the component is.
    pub component: ComponentRef,
    /// Folder or file with its WIT source, relative to the manifest.
    pub wit: Option<String>,
    /// How it is built.
    pub build: Option<Build>,
    /// What the manifest lets happen beyond the defaults, one sentence each: printed at each deploy, and audited.
    pub widens: Vec<String>,
}

/// How a component is built from its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Commands, one a line.
    pub command: String,
    /// What the commands need, for somebody with whom they failed.
    pub help: Option<String>,
}

/// The ceiling of one value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ceiling<T> {
    pub(crate) value: T,
    /// Its key and who set it.
    pub(crate) by: String,
}

/// A reading under way: what it needs, and what it has found.
pub(crate) struct Lowering<'a> {
    pub(crate) presets: &'a Presets,
    pub(crate) provenance: Provenance,
    pub(crate) findings: Vec<Diagnostic>,
    pub(crate) widens: Vec<String>,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(presets: &'a Presets) -> Self {
        Self {
            presets,
            provenance: Provenance::default(),
            findings: Vec::new(),
            widens: Vec::new(),
        }
    }

    /// Takes the value of a key, if the table has it, and notes its place under `path`.
    pub(crate) fn put<'t, T>(
        &mut self,
        table: &'t Table,
        path: &str,
        key: &str,
        take: impl FnOnce(&'t Table, &str) -> Placed<'t, T>,
        slot: &mut T,
    ) {
        if let Some((value, span)) = take(table, key) {
            *slot = value;
            self.provenance.note(format!("{path}.{key}"), SetBy::File(span.clone()));
        }
    }

    /// Cuts a value at its ceiling; says so where the manifest asked for more.
    pub(crate) fn clamp<T: PartialOrd + Copy>(
        &mut self,
        path: &str,
        slot: &mut T,
        ceiling: Option<&Ceiling<T>>,
        show: impl Fn(T) -> String,
    ) {
        let Some(ceiling) = ceiling.filter(|ceiling| *slot > ceiling.value) else {
            return;
        };
        let asked = show(*slot);
        *slot = ceiling.value;
        self.clamped(path, asked, &show(ceiling.value), &ceiling.by);
    }

    pub(crate) fn clamped(&mut self, path: &str, asked: String, to: &str, by: &str) {
        if let Some(span) = self.provenance.span(path).cloned() {
            self.findings.push(
                Diagnostic::warning(codes::ABOVE_CEILING, format!("`{path}` is cut from {asked} to {to}"))
                    .help(format!("write {to} or less; the ceiling is {by}"))
                    .at(span),
            );
        }
        self.provenance.note_clamp(
            path,
            Clamp {
                asked,
                by: by.to_owned(),
            },
        );
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings
            .push(Diagnostic::error(code, message).at(span.clone()).help(help));
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings
            .push(Diagnostic::warning(code, message).at(span.clone()).help(help));
    }

    /// Finds the preset that `name` at `span` means.
    pub(crate) fn preset(&mut self, name: &str, span: &Span) -> Option<&'a crate::presets::Preset> {
        let found = self.presets.get(name);
        if found.is_none() {
            let names = self.presets.all().map(|preset| preset.name.as_str());
            let help = crate::suggest::instead(name, names);
            self.error(
                codes::UNKNOWN_PRESET,
                span,
                format!("there is no preset `{name}`"),
                help,
            );
        }
        found
    }
}

pub(crate) fn show_duration(duration: Duration) -> String {
    units::show_duration(duration)
}

pub(crate) fn show_plain<T: Display>(value: T) -> String {
    value.to_string()
}

/// Lowers the table of a manifest. `None` when it does not even say what it is.
pub(crate) fn manifest(table: &Table, presets: &Presets, host: &HostFile) -> (Option<Lowered>, Vec<Diagnostic>) {
    let mut cx = Lowering::new(presets);
    reachable(table, &mut cx);
    let mut policy = ToolPolicy {
        version: "0.0.0".to_owned(),
        ..ToolPolicy::default()
    };
    for key in ["name", "version", "description", "component", "wit"] {
        if let Some(entry) = table.entry(key) {
            cx.provenance.note(key, SetBy::File(entry.node.span.clone()));
        }
    }
    let owned = |key: &str| table.text(key).map(|(text, _)| text.to_owned());
    policy.name = owned("name").unwrap_or_default();
    policy.version = owned("version").unwrap_or(policy.version);
    policy.description = owned("description");
    limits::read(&mut cx, table.table("limits"), &mut policy.limits, &host.ceilings);
    policy.services = service::of_manifest(&mut cx, table, host);
    calls::read(&mut cx, table, &mut policy);
    function::all(&mut cx, table, &mut policy, host);
    environment(table, &mut cx, &mut policy);
    rules::check(&mut cx, &policy, host);
    let words = Words::from_table(table.table("words"));
    let lowered = table.component("component").map(|(component, _)| Lowered {
        component: component.clone(),
        wit: owned("wit"),
        build: build(table.table("build")),
        widens: std::mem::take(&mut cx.widens),
        provenance: std::mem::take(&mut cx.provenance),
        policy,
    });
    let mut lowered = lowered.filter(|lowered| !lowered.policy.name.is_empty());
    if let Some(lowered) = &mut lowered {
        words.describe(lowered);
    }
    (lowered, cx.findings)
}

fn build(table: &Table) -> Option<Build> {
    let owned = |key: &str| table.text(key).map(|(text, _)| text.to_owned());
    Some(Build {
        command: owned("command")?,
        help: owned("help"),
    })
}

/// A component that is somewhere this version cannot fetch it from.
fn reachable(table: &Table, cx: &mut Lowering<'_>) {
    if let Some((ComponentRef::Oci(reference), span)) = table.component("component") {
        let message = format!(
            "`{}` is an image in a registry, which is not supported",
            units::short(reference)
        );
        cx.error(
            codes::OCI_REFERENCE,
            span,
            message,
            "copy the file beside the manifest and write `component = \"NAME.wasm\"`",
        );
    }
}

fn environment(table: &Table, cx: &mut Lowering<'_>, policy: &mut ToolPolicy) {
    for entry in table.table("env").entries() {
        let value = entry.node.text().unwrap_or_default();
        if value.contains("${secret:") {
            cx.error(
                codes::SECRET_FOR_GUEST,
                &entry.node.span,
                format!("`env.{}` would show a secret to the guest", entry.key),
                "put the secret into `headers` of the service that needs it: the host adds it to requests",
            );
        } else if value.contains('\0') {
            cx.error(
                codes::BAD_TEXT,
                &entry.node.span,
                format!("`env.{}` contains a zero byte", entry.key),
                "leave it out",
            );
        }
        cx.provenance
            .note(format!("env.{}", entry.key), SetBy::File(entry.node.span.clone()));
        policy.env.push((entry.key.clone(), value.to_owned()));
    }
}
