//! The schemas of sample functions, and the words that no schema may hold.

#![allow(clippy::unwrap_used)]

use super::schemas;
use crate::shape::testing::callable;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Fails unless a schema keeps to what every model provider accepts.
pub(crate) fn acceptable(schema: &Value) {
    assert_eq!(schema["type"], "object", "at the root of {schema}");
    accepted(schema);
}

fn accepted(schema: &Value) {
    let words = schema.as_object().unwrap();
    for (word, value) in words {
        match word.as_str() {
            "type" | "description" => assert!(value.is_string(), "{schema}"),
            "properties" => value.as_object().unwrap().values().for_each(accepted),
            "items" => accepted(value),
            "anyOf" => {
                assert!(value.as_array().unwrap().len() > 1 && words.len() == 1 || words.contains_key("description"));
                value.as_array().unwrap().iter().for_each(accepted);
            }
            "required" | "enum" => {
                assert!(!value.as_array().unwrap().is_empty(), "{schema}");
                assert!(value.as_array().unwrap().iter().all(Value::is_string), "{schema}");
            }
            "minimum" | "maximum" => assert!(value.is_i64() || value.is_u64(), "{schema}"),
            "minItems" | "maxItems" => assert!(value.is_u64(), "{schema}"),
            word => panic!("the word {word} is not accepted everywhere: {schema}"),
        }
    }
    match words.get("type").and_then(Value::as_str) {
        Some("object") => assert!(words.contains_key("properties"), "{schema}"),
        Some("array") => assert!(words["items"].is_object(), "{schema}"),
        Some("string" | "boolean" | "integer" | "number" | "null") => {}
        None => assert!(words.contains_key("anyOf"), "{schema}"),
        Some(other) => panic!("{other} is no type"),
    }
}

fn shown(params: &str, result: Option<&str>, words: &[(&str, &str)]) -> String {
    let words: BTreeMap<_, _> = words
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let schemas = schemas(&callable(params, result), &words);
    acceptable(&schemas.input);
    schemas.output.iter().for_each(acceptable);
    serde_json::to_string_pretty(&json!({ "input": schemas.input, "output": schemas.output })).unwrap()
}

#[test]
fn a_function_that_searches() {
    let params =
        "search-text: string, max-items: option<u32>, filters: list<record { max-age: u64, tag: option<string> }>";
    let result = "result<list<record { title: string, score: f32 }>, enum { rate-limited }>";
    let words = [("search-text", "What to look for"), ("max-items", "At most so many")];
    insta::assert_snapshot!(shown(params, Some(result), &words));
}

#[test]
fn every_kind_of_type() {
    let params = "a: bool, b: s8, c: s64, d: u64, e: f64, f: char, g: list<u8>, h: tuple<u8, string, u8, option<bool>>, \
                  i: variant { circle(f64), no-shape }, j: enum { light-red, green }, k: flags { may-read, write }, \
                  l: option<option<u8>>, m: result<u8, string>, n: result, o: map<string, u8>, p: map<u32, string>, \
                  q: variant { only(u8) }, r: list<option<variant { a, b(u8) }>>";
    let words = [("f", "A letter"), ("e", "A number")];
    insta::assert_snapshot!(shown(params, Some("record { next-page: option<string> }"), &words));
}

#[test]
fn a_result_that_is_no_object_is_wrapped() {
    let output = |result: &str| schemas(&callable("", Some(result)), &BTreeMap::new()).output;
    let wrapped =
        |schema: Value| Some(json!({ "type": "object", "properties": { "result": schema }, "required": ["result"] }));
    assert_eq!(output("string"), wrapped(json!({ "type": "string" })));
    assert_eq!(output("result<bool, string>"), wrapped(json!({ "type": "boolean" })));
    let variant = json!({ "anyOf": [
        { "type": "object", "properties": { "a": { "type": "boolean" } }, "required": ["a"] },
        { "type": "object", "properties": { "b": { "type": "boolean" } }, "required": ["b"] },
    ] });
    assert_eq!(output("variant { a(bool), b(bool) }"), wrapped(variant));
    let record = json!({ "type": "object", "properties": { "a": { "type": "boolean" } }, "required": ["a"] });
    assert_eq!(output("record { a: bool }"), Some(record.clone()));
    assert_eq!(output("result<record { a: bool }, string>"), Some(record));
    assert_eq!(output("result<_, string>"), None);
    assert_eq!(output("result"), None);
    assert_eq!(schemas(&callable("", None), &BTreeMap::new()).output, None);
}

#[test]
fn a_function_without_parameters_takes_an_empty_object() {
    let input = schemas(&callable("", None), &BTreeMap::new()).input;
    assert_eq!(input, json!({ "type": "object", "properties": {} }));
}
