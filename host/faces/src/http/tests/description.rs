//! The description of the API: checked in, and true.

use crate::http::document;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn described() -> Value {
    serde_json::from_str(&document()).unwrap()
}

#[test]
fn the_description_is_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let document = document() + "\n";
    if option_env!("FUSEBOX_RENEW").is_some() {
        fs::write(&path, &document).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == document,
        "docs/openapi.json is not what is served; renew it with FUSEBOX_RENEW=1 cargo test -p fusebox-faces the_description_is_checked_in"
    );
}

#[test]
fn every_operation_has_a_name_of_its_own_words_and_says_how_it_fails() {
    let described = described();
    assert_eq!(described["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(names.insert(name.to_owned()), "{method} {path}: {name:?} stands twice");
            assert!(
                !operation["summary"].as_str().unwrap_or_default().is_empty(),
                "{method} {path}"
            );
            let failure = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(failure, "#/components/schemas/Problem", "{method} {path}");
        }
    }
}

#[test]
fn every_schema_that_is_named_is_there() {
    let described = described();
    let mut named = BTreeSet::new();
    collect(&described, &mut named);
    assert!(named.contains("#/components/schemas/RunRecord"));
    for reference in named {
        let place = reference.trim_start_matches('#');
        assert!(
            described.pointer(place).is_some(),
            "{reference} is named, and is not there"
        );
    }
}

fn collect(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            named.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, named));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, named)),
        _ => {}
    }
}
