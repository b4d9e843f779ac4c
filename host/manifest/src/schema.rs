//! The keys of all files, as data: parser, messages, JSON Schemas and `config show` are made from these tables.

mod host;
mod policies;
mod service;

pub(crate) use host::HOST;
pub(crate) use policies::PRESET;

use crate::form::{Form, Key, Shape};
use policies::RETRY_CHOICE;
use service::SERVICE;

const fn key(name: &'static str, form: Form, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        form,
        required: false,
        default,
        doc,
    }
}

const fn required(name: &'static str, form: Form, doc: &'static str) -> Key {
    Key {
        name,
        form,
        required: true,
        default: "",
        doc,
    }
}

const fn shape(title: &'static str, keys: &'static [Key]) -> Shape {
    Shape {
        title,
        keys,
        shared: &[],
    }
}

/// The words of `idempotency`.
const LEVELS: &[&str] = &["readonly", "idempotent", "keyed", "non-idempotent"];
/// The words of `durability`.
const DURABILITIES: &[&str] = &["none", "on-failure", "always"];
/// The classes that an error's case may be mapped to: what an upstream or a caller did, never what the host alone can see.
const CLASSES: &[&str] = &["transient", "throttled", "caller", "not-sent", "unknown"];

const ANY_COUNT: Form = Form::Count(1, 1_000_000);

/// A tool's manifest.
pub(crate) static MANIFEST: Shape = shape(
    "the manifest",
    &[
        required(
            "name",
            Form::Name,
            "Name of the tool, unique in its tenant; calls name it.",
        ),
        key("version", Form::Version, "\"0.0.0\"", "Version of the tool, by semver."),
        required(
            "component",
            Form::Component,
            "The component: a file beside the manifest, or `sha256:…` of a deployed one.",
        ),
        key(
            "description",
            Form::Text,
            "",
            "What the tool does, for people and models.",
        ),
        key(
            "wit",
            Form::Path,
            "",
            "Folder or file with the component's WIT source; its comments describe functions and parameters to models.",
        ),
        key(
            "uses",
            Form::List(&Form::Name),
            "[]",
            "Shared services of the operator's file that the tool may reach.",
        ),
        key(
            "tools",
            Form::List(&Form::Grant),
            "[]",
            "Other tools that this one may call, or single functions of them: `search`, `email.send`.",
        ),
        key(
            "interrupt-before",
            Form::List(&Form::Call),
            "[]",
            "Calls of other tools that wait for a person's approval: `email.send`.",
        ),
        key(
            "retry",
            RETRY_CHOICE,
            "\"non-idempotent\"",
            "Retry of functions that have none of their own: a preset, or a table.",
        ),
        key(
            "services",
            Form::Map(&Form::Name, &Form::Table(&SERVICE)),
            "",
            "Upstreams of this tool; nothing else can be reached.",
        ),
        key(
            "functions",
            Form::Map(&Form::Function, &Form::Table(&FUNCTION)),
            "",
            "Policies of exported functions.",
        ),
        key("limits", Form::Table(&LIMITS), "", "Limits of each attempt."),
        key(
            "env",
            Form::Map(&Form::Variable, &Form::AnyText),
            "",
            "Environment variables that the guest sees; never secrets.",
        ),
        key(
            "words",
            Form::Map(&Form::Function, &Form::Table(&WORDS)),
            "",
            "What the component's own comments say; written by deploy, never by people.",
        ),
        key(
            "build",
            Form::Table(&BUILD),
            "",
            "How `fusebox build` builds the component; a host never runs it.",
        ),
    ],
);

static BUILD: Shape = shape(
    "`build`",
    &[
        required(
            "command",
            Form::Text,
            "Commands that build the component, one a line, run in the manifest's folder without a shell.",
        ),
        key(
            "help",
            Form::Text,
            "",
            "What the commands need, said to somebody with whom they failed.",
        ),
    ],
);

static WORDS: Shape = shape(
    "a function's words",
    &[
        key("description", Form::Text, "", "What the function does."),
        key(
            "params",
            Form::Map(&Form::Label, &Form::Text),
            "",
            "What each parameter means.",
        ),
    ],
);

/// One function of a manifest.
static FUNCTION: Shape = shape(
    "a function",
    &[
        key(
            "description",
            Form::Text,
            "",
            "What the function does, for people and models.",
        ),
        key(
            "params",
            Form::Map(&Form::Label, &Form::Text),
            "",
            "What each parameter means, for people and models.",
        ),
        key("retry", RETRY_CHOICE, "\"non-idempotent\"", "A preset, or a table."),
        key(
            "idempotency",
            Form::Word(LEVELS),
            "\"non-idempotent\"",
            "What makes a second run harmless.",
        ),
        key(
            "durability",
            Form::Word(DURABILITIES),
            "",
            "How much of a run is made durable; `on-failure` for readonly and idempotent functions of tools that call no others, else `always`.",
        ),
        key("timeout", Form::SomeDuration, "\"30s\"", "Time of one attempt."),
        key("deadline", Form::SomeDuration, "\"60s\"", "Time of the whole call."),
        key(
            "errors",
            Form::Map(&Form::Label, &Form::Word(CLASSES)),
            "",
            "Cases of the function's WIT error type, and the class that each means.",
        ),
        key(
            "approval",
            Form::Word(&["none", "required"]),
            "\"none\"",
            "Whether a person is asked before each call.",
        ),
        key(
            "approval-expires",
            Form::SomeDuration,
            "\"24h\"",
            "How long a question about it stands; as long as the operator's `approvals.expires` without it.",
        ),
        key(
            "as",
            Form::ModelName,
            "",
            "Another name towards models; `tool_function` without it.",
        ),
        key(
            "retry-from",
            Form::Word(&["resume-point", "start"]),
            "\"resume-point\"",
            "Where a retry begins: where the run failed, or at its start; `start` is for readonly and idempotent functions.",
        ),
        key(
            "auto-replay",
            Form::Word(&["never", "when-closed"]),
            "\"never\"",
            "Whether letters of keyed and detached runs are replayed by themselves once their service is well.",
        ),
    ],
);

/// Limits of each attempt.
static LIMITS: Shape = shape(
    "limits",
    &[
        key(
            "memory",
            Form::Size,
            "\"64MiB\"",
            "Linear memory, all instances of the component together.",
        ),
        key(
            "table-elements",
            Form::Count(1, 100_000_000),
            "65536",
            "Elements of all tables together.",
        ),
        key(
            "instances",
            Form::Count(1, 100_000),
            "64",
            "Core instances, memories and tables, each.",
        ),
        key(
            "fuel",
            Form::OrNone(&Form::Count(1, i64::MAX as u64)),
            "\"none\"",
            "Units of computing; without it time alone bounds computing.",
        ),
        key("output", Form::Size, "\"4MiB\"", "Result as JSON."),
        key(
            "log",
            Form::Size,
            "\"64KiB\"",
            "Log that is kept: half of it from the start, half from the end.",
        ),
        key(
            "host-memory",
            Form::Size,
            "\"64MiB\"",
            "What the host may hold for a run: decoded values, buffered bodies, resource table.",
        ),
        key("concurrency", ANY_COUNT, "32", "Attempts of the tool at once."),
    ],
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{HostFile, Manifest, Presets};
    use fusebox_core::policy::ToolPolicy;

    /// The keys of a table at their defaults, as TOML.
    fn defaults(shape: &'static Shape) -> String {
        let keys = shape.keys().filter(|key| !key.default.is_empty());
        keys.map(|key| format!("{} = {}\n", key.name, key.default)).collect()
    }

    fn inner(shape: &'static Shape, name: &str) -> &'static Shape {
        match shape.key(name).unwrap().form {
            Form::Table(inner) | Form::Either(_, inner) => inner,
            other => panic!("{name} is {other:?}"),
        }
    }

    fn policy(text: &str) -> ToolPolicy {
        let (lowered, findings) = Manifest::read("a.toml", text, &Presets::embedded(), &HostFile::default());
        lowered.unwrap_or_else(|| panic!("{findings:?}")).policy
    }

    #[test]
    fn a_manifest_that_writes_all_documented_defaults_means_what_one_without_them_means() {
        let head = "name = \"a\"\ncomponent = \"a.wasm\"\n";
        let bare = policy(&format!("{head}[functions.f]\n[services.s]\nhosts = [\"s.example\"]\n"));
        let text = format!(
            "{head}{}[functions.f]\n{}[limits]\n{}[services.s]\nhosts = [\"s.example\"]\n{}[services.s.breaker]\n{}[services.s.budget]\n{}",
            defaults(&MANIFEST),
            defaults(&FUNCTION),
            defaults(&LIMITS),
            defaults(&SERVICE),
            defaults(inner(&SERVICE, "breaker")),
            defaults(inner(&SERVICE, "budget")),
        );
        assert!(text.matches('\n').count() > 40, "{text}");
        assert_eq!(policy(&text), bare);
        let mut retried = policy(&format!(
            "{head}[functions.f.retry]\n{}",
            defaults(inner(&FUNCTION, "retry"))
        ));
        retried.functions.get_mut("f").unwrap().retry.preset = "non-idempotent".to_owned();
        assert_eq!(retried.functions, bare.functions);
    }
}
