//! Settings: each key of the operator's file that is no table, with its variable and its flag, merged from all three.

use super::PathSetting;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::explained::{Row, show};
use crate::form::{Form, Key, Mistake, Scalar, Shape};
use crate::lower::Ceiling;
use crate::node::{Node, Table, Value};
use crate::provenance::SetBy;
use crate::schema::HOST;
use crate::suggest;
use crate::units::{NetworkRule, Url, show_size};
use fusebox_core::policy::RateLimit;
use std::collections::BTreeMap;
use std::time::Duration;

/// Begins the name of every variable that is looked at.
const PREFIX: &str = "FUSEBOX_";

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Key in the operator's file: `retention.letters`.
    pub key: String,
    /// Environment variable: `FUSEBOX_RETENTION_LETTERS`.
    pub variable: String,
    /// Flag: `--retention-letters`.
    pub flag: String,
    /// Default as the file would have it; empty when it cannot be written.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// What settings are read from. Later ones win: file, variables, flags.
#[derive(Clone, Debug, Default)]
pub struct Source<'a> {
    /// The operator's file: its name and text.
    pub file: Option<(&'a str, &'a str)>,
    /// The environment; variables that do not begin with `FUSEBOX_` are not looked at.
    pub variables: BTreeMap<String, String>,
    /// Flags by their name (`--lease`) and value; lists are separated by commas, as in variables.
    pub flags: BTreeMap<String, String>,
}

/// All settings, by the order of the file's table of keys.
#[must_use]
pub fn settings() -> Vec<Setting> {
    keys()
        .into_iter()
        .map(|(path, key)| Setting {
            variable: format!("{PREFIX}{}", path.to_ascii_uppercase().replace(['.', '-'], "_")),
            flag: format!("--{}", path.replace('.', "-")),
            key: path,
            default: key.default,
            doc: key.doc,
        })
        .collect()
}

/// Paths and keys of all settings: values and lists, of the root and of the tables right below it.
fn keys() -> Vec<(String, &'static Key)> {
    fn below(shape: &'static Shape, prefix: &str, out: &mut Vec<(String, &'static Key)>) {
        for key in shape.keys() {
            match key.form {
                Form::Table(inner) => below(inner, &format!("{prefix}{}.", key.name), out),
                Form::Map(..) => {}
                _ => out.push((format!("{prefix}{}", key.name), key)),
            }
        }
    }
    let mut out = Vec::new();
    below(&HOST, "", &mut out);
    out
}

/// Effective settings by key: value and who set it.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    values: BTreeMap<String, (Value, SetBy)>,
}

impl Default for Settings {
    fn default() -> Self {
        let defaults = keys()
            .into_iter()
            .filter_map(|(path, key)| Some((path, (default_of(key)?, SetBy::Default))));
        Self {
            values: defaults.collect(),
        }
    }
}

/// The default that the table of keys documents.
fn default_of(key: &Key) -> Option<Value> {
    match (key.default, key.form) {
        ("", _) => None,
        ("[]", Form::List(_)) => Some(Value::List(Vec::new())),
        (text, form) => form.text(text.trim_matches('"')).ok().map(Value::Scalar),
    }
}

impl Settings {
    /// Lays the file over the defaults, variables over the file, flags over all.
    pub(super) fn merge(table: &Table, source: &Source<'_>, findings: &mut Vec<Diagnostic>) -> Self {
        let mut all = Self::default();
        let known = settings();
        for ((path, key), setting) in keys().iter().zip(&known) {
            let entry = match path.split_once('.') {
                Some((outer, inner)) => table.table(outer).entry(inner),
                None => table.entry(path),
            };
            if let Some(entry) = entry {
                all.values.insert(
                    path.clone(),
                    (entry.node.value.clone(), SetBy::File(entry.node.span.clone())),
                );
            }
            let over = [
                (
                    &source.variables,
                    &setting.variable,
                    SetBy::Variable(setting.variable.clone()),
                    "variable",
                ),
                (&source.flags, &setting.flag, SetBy::Flag(setting.flag.clone()), "flag"),
            ];
            for (values, name, by, what) in over {
                let Some(text) = values.get(name) else { continue };
                match from_text(key.form, text) {
                    Ok(value) => {
                        all.values.insert(path.clone(), (value, by));
                    }
                    Err((code, problem)) => findings.push(
                        Diagnostic::error(code, format!("{what} {name}: {}", problem.message)).help(problem.help),
                    ),
                }
            }
        }
        unknown(source, &known, findings);
        all
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let row = |(path, key): (String, &Key)| {
            let (value, set_by) = match self.values.get(&path) {
                Some((Value::Scalar(Scalar::Number(bytes)), set_by)) if matches!(key.form, Form::Size) => {
                    (show_size(*bytes), set_by.clone())
                }
                Some((value, set_by)) => (show(value), set_by.clone()),
                None => (String::new(), SetBy::Default),
            };
            Row {
                key: path,
                value,
                set_by,
                clamp: None,
            }
        };
        keys().into_iter().map(row).collect()
    }

    /// Who set a setting.
    pub(super) fn set_by(&self, path: &str) -> &SetBy {
        self.values.get(path).map_or(&SetBy::Default, |(_, by)| by)
    }

    fn scalar(&self, path: &str) -> Option<&Scalar> {
        match &self.values.get(path)?.0 {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn list(&self, path: &str) -> &[Node] {
        match self.values.get(path) {
            Some((Value::List(nodes), _)) => nodes,
            _ => &[],
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self.scalar(path)? {
            Scalar::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn path(&self, path: &str) -> Option<PathSetting> {
        let from_file = matches!(self.set_by(path), SetBy::File(_));
        self.text(path).map(|path| PathSetting { path, from_file })
    }

    pub(super) fn duration(&self, path: &str) -> Duration {
        match self.scalar(path) {
            Some(Scalar::Duration(duration)) => *duration,
            _ => Duration::ZERO,
        }
    }

    pub(super) fn number(&self, path: &str) -> u64 {
        match self.scalar(path) {
            Some(Scalar::Number(number)) => *number,
            _ => 0,
        }
    }

    /// A number, or `None` for the word `none`.
    pub(super) fn number_or_none(&self, path: &str) -> Option<u64> {
        match self.scalar(path)? {
            Scalar::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A duration, or `None` for the word `none`.
    pub(super) fn duration_or_none(&self, path: &str) -> Option<Duration> {
        match self.scalar(path)? {
            Scalar::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    /// A rate; one that is not set lets one through each second.
    pub(super) fn rate(&self, path: &str) -> RateLimit {
        match self.scalar(path) {
            Some(Scalar::Rate(rate)) => *rate,
            _ => RateLimit {
                requests: 1,
                per: Duration::from_secs(1),
            },
        }
    }

    /// A rate, or `None` for the word `none`.
    pub(super) fn rate_or_none(&self, path: &str) -> Option<RateLimit> {
        match self.scalar(path)? {
            Scalar::Rate(rate) => Some(*rate),
            _ => None,
        }
    }

    pub(super) fn url(&self, path: &str) -> Option<Url> {
        match self.scalar(path)? {
            Scalar::Url(url) => Some(url.clone()),
            _ => None,
        }
    }

    pub(super) fn count(&self, path: &str) -> u32 {
        u32::try_from(self.number(path)).unwrap_or(u32::MAX)
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        self.list(path)
            .iter()
            .filter_map(Node::text)
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn rules(&self, path: &str) -> Vec<NetworkRule> {
        self.list(path).iter().filter_map(Node::rule).cloned().collect()
    }

    /// The ceiling `ceilings.KEY`, if somebody set one.
    pub(super) fn ceiling<T>(&self, key: &str, take: impl Fn(&Self, &str) -> T) -> Option<Ceiling<T>> {
        let path = format!("ceilings.{key}");
        let (_, by) = self.values.get(&path)?;
        Some(Ceiling {
            value: take(self, &path),
            by: format!("`{path}` ({by})"),
        })
    }
}

/// A value as variables and flags have it: items of a list are separated by commas.
fn from_text(form: Form, text: &str) -> Result<Value, Mistake> {
    let (Form::List(item) | Form::SomeList(item)) = form else {
        return form.text(text).map(Value::Scalar);
    };
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let nodes: Result<Vec<_>, _> = items
        .map(|text| {
            let value = Value::Scalar(item.text(text)?);
            Ok(Node {
                value,
                span: crate::diagnostic::Source::new("", "").span(0..0),
            })
        })
        .collect();
    nodes.map(Value::List)
}

/// A variable that is nearly one of ours is a slip that would go unnoticed.
fn unknown(source: &Source<'_>, known: &[Setting], findings: &mut Vec<Diagnostic>) {
    for name in source.variables.keys().filter(|name| name.starts_with(PREFIX)) {
        let names = known.iter().map(|setting| setting.variable.as_str());
        if names.clone().any(|known| known == name) {
            continue;
        }
        // Distances are compared without the prefix, which all have in common.
        let bare = |name: &str| name[PREFIX.len()..].to_ascii_lowercase();
        let near: Vec<_> = names.clone().map(bare).collect();
        if let Some(near) = suggest::nearest(&bare(name), near.iter().map(String::as_str)) {
            let near = near.to_ascii_uppercase();
            findings.push(
                Diagnostic::warning(
                    codes::UNKNOWN_VARIABLE,
                    format!("variable {name} is not known and changes nothing"),
                )
                .help(format!("did you mean {PREFIX}{near}?")),
            );
        }
    }
    for name in source
        .flags
        .keys()
        .filter(|name| !known.iter().any(|setting| setting.flag == **name))
    {
        findings.push(
            Diagnostic::error(codes::UNKNOWN_VARIABLE, format!("flag {name} is not known")).help(suggest::instead(
                name,
                known.iter().map(|setting| setting.flag.as_str()),
            )),
        );
    }
}
