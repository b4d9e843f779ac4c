//! The JSON Schemas agree with the parser on every example, and on broken ones.

#![allow(clippy::unwrap_used, clippy::panic)]

use fusebox_manifest::{EMBEDDED, HostFile, Kind, Manifest, Presets, codes, json_schema};
use jsonschema::Validator;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

fn json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

fn problems(kind: Kind, text: &str) -> Vec<String> {
    static VALIDATORS: LazyLock<Vec<Validator>> = LazyLock::new(|| {
        Kind::ALL
            .map(|kind| jsonschema::validator_for(&json_schema(kind)).unwrap())
            .into()
    });
    let at = Kind::ALL.iter().position(|known| *known == kind).unwrap();
    VALIDATORS[at]
        .iter_errors(&json(text))
        .map(|error| format!("{}: {error}", error.instance_path))
        .collect()
}

/// All `.toml` files right below the folders of `guest-examples` that are manifests.
fn manifests() -> Vec<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-examples"));
    let folders = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    folders
        .filter_map(|folder| {
            let file = folder.join(format!("{}.toml", folder.file_name()?.to_str()?));
            file.is_file().then_some(file)
        })
        .collect()
}

#[test]
fn presets_fit_their_schema() {
    for (name, text) in EMBEDDED {
        assert_eq!(problems(Kind::Preset, text), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn example_manifests_are_right_and_fit_their_schema() {
    for file in manifests() {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            problems(Kind::Manifest, &text),
            Vec::<String>::new(),
            "{}",
            file.display()
        );
        let (lowered, findings) = Manifest::read("m.toml", &text, &Presets::embedded(), &HostFile::default());
        assert!(lowered.is_some(), "{}: {findings:?}", file.display());
    }
}

/// Codes of mistakes that a schema sees: keys, types and forms of single values.
const SEEN: [&str; 10] = [
    "FB0102", "FB0103", "FB0104", "FB0105", "FB0106", "FB0107", "FB0108", "FB0109", "FB0110", "FB0112",
];

#[test]
fn examples_of_pages_fit_their_schema_when_right_and_not_when_wrong() {
    let mut checked = 0;
    for page in codes() {
        let blocks: Vec<_> = page
            .text
            .split("```toml\n")
            .skip(1)
            .map(|block| block.split("```").next().unwrap())
            .collect();
        let [wrong, right] = blocks.as_slice() else { continue };
        let found = |text: &str| match text.strip_prefix("# fusebox.toml\n") {
            Some(text) => problems(Kind::HostFile, text.split("# search.toml").next().unwrap()),
            None if text.contains("component =") => problems(Kind::Manifest, text),
            None => problems(Kind::Manifest, &format!("name = \"a\"\ncomponent = \"a.wasm\"\n{text}")),
        };
        assert_eq!(found(right), Vec::<String>::new(), "{}", page.code);
        if SEEN.contains(&page.code) {
            assert!(
                !found(wrong).is_empty(),
                "the schema takes the wrong example of {}",
                page.code
            );
            checked += 1;
        }
    }
    assert_eq!(checked, SEEN.len());
}

#[test]
fn schemas_describe_every_key() {
    fn walk(schema: &Value, path: &str) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                property["description"].as_str().is_some_and(|doc| doc.len() > 5),
                "{path}.{name}"
            );
            walk(property, &format!("{path}.{name}"));
            walk(&property["additionalProperties"], &format!("{path}.{name}.*"));
        }
    }
    for kind in Kind::ALL {
        let schema = json_schema(kind);
        walk(&schema, kind.name());
        assert_eq!(Kind::from_name(kind.name()), Some(kind));
        assert!(jsonschema::meta::is_valid(&schema));
    }
}
