//! Fingerprints follow values, not their spelling.

#![allow(clippy::unwrap_used)]

use crate::shape::testing::callable;
use crate::values::Arguments;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::sandbox::Input;
use std::collections::BTreeSet;

fn print(params: &str, json: &str) -> Digest {
    Arguments::decode(callable(params, None), json, 1 << 20)
        .unwrap()
        .fingerprint()
}

#[test]
fn case_33_two_spellings_of_one_value_have_one_fingerprint() {
    let params = "from-account: string, amount: u64, memo: option<string>, at: f64, \
                  labels: map<string, record { max-age: u8 }>, flags: flags { dry-run, force }";
    let texts = [
        r#"{"from-account":"a","amount":10,"memo":null,"at":0,"labels":{"x":{"max-age":1},"y":{"max-age":2}},"flags":["force","dry-run"]}"#,
        r#"{"flags":["dry_run","force"],"labels":{"y":{"max_age":2.0},"x":{"max_age":1}},"at":-0.0,"amount":"10","from_account":"\u0061"}"#,
        " { \"amount\": 1e1, \"from-account\": \"a\", \"at\": 0.0e3,\n\"flags\": [\"force\", \"dry_run\"], \"labels\": {\"x\":{\"max-age\":1}, \"y\":{\"max-age\":2}} }",
    ];
    let prints: BTreeSet<_> = texts.iter().map(|text| print(params, text)).collect();
    assert_eq!(prints.len(), 1);
}

#[test]
fn case_33_null_and_an_absent_option_are_one_and_zero_empty_and_false_are_not() {
    let absent = print("v: option<u8>", "{}");
    assert_eq!(print("v: option<u8>", "{\"v\":null}"), absent);
    assert_ne!(print("v: option<u8>", "{\"v\":0}"), absent);
    let absent = print("v: option<string>", "{}");
    assert_ne!(print("v: option<string>", "{\"v\":\"\"}"), absent);
    let absent = print("v: option<bool>", "{}");
    assert_ne!(print("v: option<bool>", "{\"v\":false}"), absent);
    let absent = print("v: option<list<u8>>", "{}");
    assert_ne!(print("v: option<list<u8>>", "{\"v\":\"\"}"), absent);
    let nested = "v: record { a: option<u8>, b: option<u8> }";
    let empty = print(nested, "{\"v\":{}}");
    assert_eq!(print(nested, "{\"v\":{\"b\":null}}"), empty);
    assert_ne!(print(nested, "{\"v\":{\"b\":0}}"), empty);
    assert_ne!(print(nested, "{\"v\":{\"b\":0}}"), print(nested, "{\"v\":{\"a\":0}}"));
}

#[test]
fn values_of_one_type_that_differ_have_different_fingerprints() {
    for (params, texts) in [
        (
            "v: option<option<bool>>",
            &["null", "{\"some\":null}", "{\"some\":false}", "{\"some\":true}"] as &[_],
        ),
        (
            "v: list<option<bool>>",
            &["[]", "[null]", "[null,null]", "[false]", "[null,false]", "[false,null]"],
        ),
        (
            "v: list<string>",
            &["[]", "[\"\"]", "[\"\",\"\"]", "[\"ab\"]", "[\"a\",\"b\"]"],
        ),
        (
            "v: list<list<bool>>",
            &["[]", "[[]]", "[[],[]]", "[[true]]", "[[],[true]]", "[[true],[]]"],
        ),
        (
            "v: result<option<bool>, option<bool>>",
            &["{\"ok\":null}", "{\"err\":null}", "{\"ok\":true}"],
        ),
        (
            "v: variant { a, b(bool), c(option<bool>) }",
            &["\"a\"", "{\"b\":true}", "{\"c\":true}", "{\"c\":null}"],
        ),
        (
            "v: f64",
            &["0", "1", "\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "1e-300", "-1"],
        ),
        (
            "v: s64",
            &["0", "-1", "1", "9223372036854775807", "9223372036854775806"],
        ),
        ("v: list<u8>", &["\"\"", "\"AA==\"", "\"AAA=\"", "\"AQ==\""]),
        ("v: flags { a, b }", &["[]", "[\"a\"]", "[\"b\"]", "[\"a\",\"b\"]"]),
        (
            "v: map<string, u8>",
            &["{}", "{\"a\":1}", "{\"a\":2}", "{\"b\":1}", "{\"a\":1,\"b\":1}"],
        ),
    ] {
        let prints: BTreeSet<_> = texts
            .iter()
            .map(|text| print(params, &format!("{{\"v\":{text}}}")))
            .collect();
        assert_eq!(prints.len(), texts.len(), "{params}");
    }
}

#[test]
fn arguments_do_not_run_into_each_other() {
    let params = "a: option<string>, b: option<string>, ab: option<string>";
    let texts = [
        r#"{"a":"x"}"#,
        r#"{"b":"x"}"#,
        r#"{"ab":"x"}"#,
        r#"{"a":"x","b":""}"#,
        r#"{"a":"","b":"x"}"#,
    ];
    let prints: BTreeSet<_> = texts.iter().map(|text| print(params, text)).collect();
    assert_eq!(prints.len(), texts.len());
}

#[test]
fn an_option_that_is_new_changes_no_fingerprint() {
    let before = print("query: record { text: string }", "{\"query\":{\"text\":\"a\"}}");
    let after = "query: record { text: string, limit: option<u8> }, page: option<u8>";
    assert_eq!(print(after, "{\"query\":{\"text\":\"a\"}}"), before);
}

#[test]
fn long_values_are_hashed_whole() {
    let long = "x".repeat(5000);
    let print = |tail: &str| print("v: string, w: u8", &format!("{{\"v\":\"{long}{tail}\",\"w\":7}}"));
    assert_ne!(print("a"), print("b"));
    let bytes = |n: u8| super::fingerprint(&callable("v: list<u8>", None).params, &[bytes_ending_in(n)]);
    assert_ne!(bytes(1), bytes(2));
}

fn bytes_ending_in(last: u8) -> wasmtime::component::Val {
    let zeros = std::iter::repeat_n(0, 3000).chain([last]);
    wasmtime::component::Val::List(zeros.map(wasmtime::component::Val::U8).collect())
}

/// Stored runs hold fingerprints: the form may not change unnoticed.
#[test]
fn the_canonical_form_is_stable() {
    let params = "text: string, limit: option<u32>, ratio: f32, bytes: list<u8>, pair: tuple<s8, char>";
    let json = r#"{"text":"a","ratio":0.5,"bytes":"AAEC","pair":[-1,"é"]}"#;
    insta::assert_snapshot!(print(params, json).to_string());
}

#[test]
fn zero_has_no_sign_and_there_is_one_nan() {
    use wasmtime::component::Val;
    let print = |val: Val| super::fingerprint(&callable("v: f64", None).params, &[val]);
    assert_eq!(print(Val::Float32(-0.0)), print(Val::Float32(0.0)));
    assert_eq!(print(Val::Float64(-0.0)), print(Val::Float64(0.0)));
    assert_eq!(
        print(Val::Float32(f32::from_bits(0xffc0_0001))),
        print(Val::Float32(f32::NAN))
    );
    assert_eq!(
        print(Val::Float64(f64::from_bits(0xfff8_0000_0000_0001))),
        print(Val::Float64(f64::NAN))
    );
}
