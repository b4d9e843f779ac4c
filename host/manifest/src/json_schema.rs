//! JSON Schemas of the three files, made from the tables that the parser reads by, so that editors complete them.

use crate::form::{Form, Key, Shape};
use crate::schema::{HOST, MANIFEST, PRESET};
use serde_json::{Map, Value, json};

/// Which file a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tool's manifest.
    Manifest,
    /// A preset.
    Preset,
    /// The operator's file.
    HostFile,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Manifest, Self::Preset, Self::HostFile];

    /// The name used on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Preset => "preset",
            Self::HostFile => "host",
        }
    }

    /// The kind of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The JSON Schema (draft 2020-12) of a file. It knows every form; what values say about each other, only `check` knows.
#[must_use]
pub fn json_schema(kind: Kind) -> Value {
    let shape = match kind {
        Kind::Manifest => &MANIFEST,
        Kind::Preset => &PRESET,
        Kind::HostFile => &HOST,
    };
    let mut schema = table(shape);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema
}

fn table(shape: &'static Shape) -> Value {
    let properties: Map<_, _> = shape.keys().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<_> = shape.keys().filter(|key| key.required).map(|key| key.name).collect();
    json!({ "title": shape.title, "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn property(key: &'static Key) -> Value {
    let mut schema = value(key.form);
    schema["description"] = json!(key.doc);
    if let Ok(default) = serde_json::from_str::<Value>(key.default) {
        // Defaults are written so that they read the same in TOML and in JSON.
        schema["default"] = default;
    }
    schema
}

/// A kebab-case name.
const TOOL: &str = "[a-z][a-z0-9]*(-[a-z0-9]+)*";
/// A function, with or without its interface.
const FUNCTION: &str = "[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*(\\.[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*)?";

fn value(form: Form) -> Value {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match form {
        Form::AnyText | Form::Component => json!({ "type": "string" }),
        Form::Text | Form::Path => json!({ "type": "string", "minLength": 1 }),
        Form::Name | Form::Preset => text(&format!("^{TOOL}$")),
        Form::Grant => text(&format!("^{TOOL}(\\.{FUNCTION})?$")),
        Form::Call => text(&format!("^{TOOL}\\.{FUNCTION}$")),
        Form::Function => text(&format!("^{FUNCTION}$")),
        Form::Label => text("^[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*$"),
        Form::ModelName => text("^[a-zA-Z0-9_-]{1,64}$"),
        Form::Variable => text("^[a-zA-Z_][a-zA-Z0-9_]*$"),
        Form::Secret => text("^[a-zA-Z0-9_-]{1,64}$"),
        Form::Version => text("^[0-9]+\\.[0-9]+\\.[0-9]+([-+].*)?$"),
        Form::Duration => text("^[0-9]+(ms|s|m|h|d)$"),
        Form::SomeDuration => text("^0*[1-9][0-9]*(ms|s|m|h|d)$"),
        Form::Size => json!({ "anyOf": [text("^[0-9]+([kMGT]?B|[KMGT]iB)?$"), { "type": "integer", "minimum": 0 }] }),
        Form::Rate => text("^0*[1-9][0-9]*/(s|min|h|d)$"),
        Form::Count(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        Form::Share => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
        Form::Window => json!({ "anyOf": [value(Form::SomeDuration), value(Form::Count(1, 1_000_000))] }),
        Form::Word(words) => json!({ "type": "string", "enum": words }),
        Form::Host => text("^([hH][tT][tT][pP][sS]?://)?[^/?#@*]+$"),
        Form::Rule => text("^[^*]+$"),
        Form::Url => text("^[hH][tT][tT][pP][sS]?://[^/?#@*]+(/[^#]*)?$"),
        Form::KeyPlace => json!({ "type": "string", "minLength": 1 }),
        Form::Pattern => text("^[A-Z]+ /[^ ?#]*$"),
        Form::HeaderName => text("^[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,128}$"),
        Form::HeaderValue => text("^[ -~]*$"),
        Form::OrNone(form) => json!({ "anyOf": [value(*form), { "const": "none" }] }),
        Form::Either(form, shape) => json!({ "anyOf": [value(*form), table(shape)] }),
        Form::List(form) => json!({ "type": "array", "items": value(*form) }),
        Form::SomeList(form) => json!({ "type": "array", "items": value(*form), "minItems": 1 }),
        Form::Map(keys, values) => {
            json!({ "type": "object", "propertyNames": value(*keys), "additionalProperties": value(*values) })
        }
        Form::Table(shape) => table(shape),
    }
}
