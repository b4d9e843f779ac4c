//! Presets: named retry policies and breakers as data, those that come with Fusebox and those of the operator's folder.

use crate::diagnostic::{Diagnostic, sort};
use crate::document;
use crate::lower::{breaker, retry};
use crate::node::Table;
use crate::provenance::{Provenance, SetBy};
use crate::schema::PRESET;
use crate::{codes, units};
use fusebox_core::policy::{BreakerPolicy, RetryPolicy, ServiceKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The presets that come with Fusebox: name and text.
pub const EMBEDDED: [(&str, &str); 5] = [
    ("fixed", include_str!("../../../policies/fixed.toml")),
    ("idempotent", include_str!("../../../policies/idempotent.toml")),
    ("llm", include_str!("../../../policies/llm.toml")),
    ("non-idempotent", include_str!("../../../policies/non-idempotent.toml")),
    ("none", include_str!("../../../policies/none.toml")),
];

/// One preset.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its file's name without `.toml`.
    pub name: String,
    /// Its file.
    pub file: Arc<str>,
    /// What it is meant for.
    pub description: Option<String>,
    /// Attempts and delays.
    pub retry: RetryPolicy,
    /// When a breaker trips and how it recovers; the defaults of any service where the file has none.
    pub breaker: BreakerPolicy,
    /// Which lines set the values, below `retry` and `breaker`.
    provenance: Provenance,
}

impl Preset {
    /// Takes over where its values below `part` came from, for a policy that has them under `path`.
    pub(crate) fn note(&self, part: &str, provenance: &mut Provenance, path: &str) {
        provenance.copy(&self.provenance, part, path);
    }
}

/// All presets by name.
#[derive(Clone, Debug)]
pub struct Presets {
    by_name: BTreeMap<String, Preset>,
}

impl Presets {
    /// Those that come with Fusebox.
    #[must_use]
    pub fn embedded() -> Self {
        let mut presets = Self {
            by_name: BTreeMap::new(),
        };
        for (name, text) in EMBEDDED {
            presets.add(name, &format!("policies/{name}.toml"), text);
        }
        presets
    }

    /// Adds a preset of the operator's folder, in place of one of that name. A file with errors adds nothing.
    pub fn add(&mut self, name: &str, file: &str, text: &str) -> Vec<Diagnostic> {
        let (table, mut findings) = document::read(file, text, &PRESET);
        if let Err(problem) = units::kebab(name) {
            findings
                .push(Diagnostic::error(codes::BAD_NAME, format!("`{file}`: {}", problem.message)).help(problem.help));
        }
        let preset = table.map(|table| read(name, file, &table, &mut findings));
        sort(&mut findings);
        if let Some(preset) = preset.filter(|_| !findings.iter().any(Diagnostic::is_error)) {
            self.by_name.insert(name.to_owned(), preset);
        }
        findings
    }

    /// The preset of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Preset> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Preset> + Clone {
        self.by_name.values()
    }
}

fn read(name: &str, file: &str, table: &Table, findings: &mut Vec<Diagnostic>) -> Preset {
    let mut provenance = Provenance::default();
    let mut by = |path: &str, span: &crate::diagnostic::Span| {
        let by = SetBy::Preset {
            name: name.to_owned(),
            file: span.file.clone(),
            line: span.line,
        };
        provenance.note(path, by);
    };
    let mut preset = Preset {
        name: name.to_owned(),
        file: file.into(),
        description: table.text("description").map(|(text, _)| text.to_owned()),
        retry: RetryPolicy::once(name),
        breaker: BreakerPolicy::of_kind(ServiceKind::Http),
        provenance: Provenance::default(),
    };
    retry::apply(table.table("retry"), &mut preset.retry, "retry", &mut by, findings);
    breaker::apply(
        table.table("breaker"),
        &mut preset.breaker,
        "breaker",
        &mut by,
        findings,
    );
    preset.provenance = provenance;
    preset
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn embedded_presets_are_right_and_hold_the_documented_defaults() {
        let mut presets = Presets {
            by_name: BTreeMap::new(),
        };
        for (name, text) in EMBEDDED {
            assert_eq!(presets.add(name, name, text), [], "{name}");
        }
        let retry = |name: &str| presets.get(name).unwrap().retry.clone();
        let shape = |name: &str| {
            let retry = retry(name);
            (
                retry.attempts,
                retry.backoff.base.as_millis(),
                retry.backoff.cap.as_millis(),
            )
        };
        assert_eq!(shape("llm"), (3, 1_000, 30_000));
        assert_eq!(shape("idempotent"), (5, 500, 10_000));
        assert_eq!(retry("non-idempotent"), RetryPolicy::once("non-idempotent"));
        assert_eq!((shape("fixed").1, retry("fixed").backoff.factor), (1_000, 1));
        assert_eq!((retry("none").attempts, retry("none").max_total_attempts), (1, 1));
        assert_eq!(
            presets.get("llm").unwrap().breaker,
            BreakerPolicy::of_kind(ServiceKind::Llm)
        );
        for preset in presets.all().filter(|preset| preset.name != "llm") {
            assert_eq!(
                preset.breaker,
                BreakerPolicy::of_kind(ServiceKind::Http),
                "{}",
                preset.name
            );
        }
        assert_eq!(presets.get("llm").unwrap().breaker.cooldown, Duration::from_secs(30));
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| name != "host" && name != "cases")
            .collect();
        found.sort();
        assert_eq!(found, EMBEDDED.map(|(name, _)| name));
    }

    #[test]
    fn a_broken_file_leaves_the_old_preset_in_force() {
        let mut presets = Presets::embedded();
        let findings = presets.add("llm", "mine/llm.toml", "[retry]\nattempts = 0\n");
        assert_eq!(findings.len(), 1);
        assert_eq!(presets.get("llm").unwrap().retry.attempts, 3);
        assert_eq!(presets.add("llm", "mine/llm.toml", "[retry]\nattempts = 7\n"), []);
        assert_eq!(presets.get("llm").unwrap().retry.attempts, 7);
        assert_eq!(
            presets.add("My Preset", "mine/My Preset.toml", "[retry]\n")[0].code,
            "FB0105"
        );
    }
}
