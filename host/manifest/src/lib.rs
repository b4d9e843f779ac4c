//! Manifests, presets and the operator's file: text in, values out, every finding at once with its place.

mod codes;
mod component;
pub mod diagnostic;
mod document;
mod explained;
mod form;
mod growth;
mod host_file;
mod json_schema;
mod links;
mod lower;
mod manifest;
mod node;
mod presets;
mod provenance;
pub mod render;
mod rules;
mod schema;
mod suggest;
pub mod units;
mod words;

pub use codes::{
    BAD_COMPONENT, BAD_WIT, CACHE_FOLDER, COMPILER_EXHAUSTED, COMPONENT_TOO_LARGE, CORE_MODULE, ENCRYPTION_KEY,
    MISSING_IMPORT, NAMED_TWICE, NEEDS_MORE, NO_FUNCTION, NOT_A_COMPONENT, Page, SANDBOX_REFUSED, UNDESCRIBED_FUNCTION,
    UNDESCRIBED_PARAM, UNGRANTED_IMPORT, codes, explain,
};
pub use component::{check_component, model_name};
pub use explained::Row;
pub use form::ComponentRef;
pub use growth::grown;
pub use host_file::{
    AlertSettings, BlobSettings, HostFile, KeyPlace, ListenSettings, OidcSettings, PathSetting, Retention,
    SecretSettings, SecretSource, Setting, Source, host_template, settings,
};
pub use json_schema::{Kind, json_schema};
pub use links::check_links;
pub use lower::{Build, Lowered};
pub use manifest::Manifest;
pub use presets::{EMBEDDED, Preset, Presets};
pub use provenance::{Clamp, Provenance, SetBy};
pub use suggest::nearest;
pub use words::{FunctionWords, Words};
