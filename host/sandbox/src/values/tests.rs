//! Each sentence of the mapping between JSON and WIT, in both directions, and the words of each error.

#![allow(clippy::unwrap_used)]

use super::{Arguments, EncodeError, Returned, encode};
use crate::shape::testing::{callable, ty};
use fusebox_engine::ports::sandbox::Spelling;
use wasmtime::component::Val;

const MIB: u64 = 1 << 20;

/// Decodes one argument `v`.
fn decoded(wit: &str, json: &str) -> Result<Val, String> {
    let function = callable(&format!("v: {wit}"), None);
    let arguments = Arguments::decode(function, &format!("{{\"v\":{json}}}"), MIB)?;
    Ok(arguments.values()[0].clone())
}

fn encoded(wit: &str, val: &Val, spelling: Spelling) -> String {
    // In a list, so that a result is written as a value.
    let list = ty(&format!("tuple<{wit}>"));
    match encode(Some(&list), Some(&Val::Tuple(vec![val.clone()])), spelling, MIB).unwrap() {
        Returned::Ok { json } => json[1..json.len() - 1].to_owned(),
        Returned::Err { .. } => unreachable!(),
    }
}

/// Texts that stand for one value; the first is how it is printed.
#[track_caller]
fn same(wit: &str, texts: &[&str]) {
    let first = decoded(wit, texts[0]).unwrap();
    for text in texts {
        assert_eq!(decoded(wit, text).as_ref(), Ok(&first), "{wit}: {text}");
    }
    assert_eq!(encoded(wit, &first, Spelling::Kebab), texts[0], "{wit}");
}

#[track_caller]
fn refused(wit: &str, json: &str, message: &str) {
    assert_eq!(decoded(wit, json), Err(message.to_owned()), "{wit}: {json}");
}

#[test]
fn integers_are_exact_however_they_are_written() {
    same("u8", &["255", "255.0", "2.55e2", "2550e-1", "255.000", "0.255E+3"]);
    same("s8", &["-128", "-1.28e2"]);
    same("u32", &["0", "-0", "0.0", "0e999999999999999999999", "0e-5", "-0.00"]);
    same(
        "s64",
        &[
            "9223372036854775807",
            "\"9223372036854775807\"",
            "9223372036854775807.0",
        ],
    );
    same(
        "s64",
        &[
            "-9223372036854775808",
            "\"-9223372036854775808\"",
            "-922337203685477580.8e1",
        ],
    );
    same(
        "u64",
        &[
            "18446744073709551615",
            "\"18446744073709551615\"",
            "1844674407370955161500e-2",
        ],
    );
    same(
        "u64",
        &["9007199254740993", "\"9007199254740993\"", "9007199254740993.0"],
    );
    same("u64", &["10000000000000000000", "1e19", "10e18"]);
    refused("u8", "300", "v: 300 does not fit u8");
    refused("u8", "-1", "v: -1 does not fit u8");
    refused("s8", "128", "v: 128 does not fit s8");
    refused("s16", "40000", "v: 40000 does not fit s16");
    refused("u16", "65536", "v: 65536 does not fit u16");
    refused("s32", "2147483648", "v: 2147483648 does not fit s32");
    refused("u32", "4294967296", "v: 4294967296 does not fit u32");
    refused("s64", "9223372036854775808", "v: 9223372036854775808 does not fit s64");
    refused(
        "u64",
        "18446744073709551616",
        "v: 18446744073709551616 does not fit u64",
    );
    refused("u64", "1e20", "v: 1e20 does not fit u64");
    refused(
        "u64",
        "1e9999999999999999999999",
        "v: 1e9999999999999999999999 does not fit u64",
    );
    refused("u8", "1.5", "v: 1.5 is no whole number, as u8 needs one");
    refused("u64", "1e-1", "v: 1e-1 is no whole number, as u64 needs one");
    refused(
        "u64",
        "1e-9999999999999999999999",
        "v: 1e-9999999999999999999999 is no whole number, as u64 needs one",
    );
    refused(
        "u64",
        "9007199254740993.5",
        "v: 9007199254740993.5 is no whole number, as u64 needs one",
    );
    refused("u8", "\"1\"", "v: expected u8, got the string \"1\"");
    refused("u64", "\"\"", "v: \"\" is not a whole number such as \"42\"");
    refused("u64", "\"1.0\"", "v: \"1.0\" is not a whole number such as \"42\"");
    refused("u64", "\"007\"", "v: \"007\" is not a whole number such as \"42\"");
    refused("u64", "\" 1\"", "v: \" 1\" is not a whole number such as \"42\"");
    refused("u64", "\"+1\"", "v: \"+1\" is not a whole number such as \"42\"");
    refused("u64", "\"-1\"", "v: -1 does not fit u64");
    refused("u64", "true", "v: expected u64, got true");
}

#[test]
fn floats_round_trip_with_nan_and_infinities_as_strings() {
    same("f64", &["1.0", "1", "10e-1", "1.000"]);
    same("f64", &["0.1", "1e-1"]);
    same("f64", &["1e300", "10e299"]);
    same("f64", &["-0.0", "-0"]);
    same("f64", &["\"NaN\""]);
    same("f64", &["\"Infinity\""]);
    same("f64", &["\"-Infinity\""]);
    same("f32", &["0.1", "0.1000000015", "1e-1"]);
    same("f32", &["3.4028235e38"]);
    same("f32", &["\"-Infinity\""]);
    assert_ne!(decoded("f64", "0.0"), decoded("f64", "-0.0"));
    // Between two f32, and nearer to the upper one; by way of f64 it would be rounded to the lower one.
    assert_eq!(
        decoded("f32", "1.00000017881393432617187499"),
        Ok(Val::Float32(1.000_000_1))
    );
    refused("f32", "3.5e38", "v: 3.5e38 does not fit f32");
    refused("f32", "-1e39", "v: -1e39 does not fit f32");
    refused("f64", "1e309", "v: 1e309 does not fit f64");
    refused(
        "f64",
        "\"1.5\"",
        "v: \"1.5\" is not a number; write it without quotes, or \"NaN\", \"Infinity\" or \"-Infinity\"",
    );
    refused("f64", "null", "v: expected f64, got null");
}

#[test]
fn booleans_characters_and_strings() {
    same("bool", &["true", " true "]);
    same("bool", &["false"]);
    same("char", &["\"é\"", "\"\\u00e9\""]);
    same("char", &["\"😀\"", "\"\\ud83d\\ude00\""]);
    same(
        "string",
        &[
            "\"a\\\"b\\\\c\\n\\t\\r\\u0001/\"",
            "\"a\\u0022b\\\\c\\n\\t\\r\\u0001\\/\"",
        ],
    );
    same("string", &["\"\""]);
    refused("bool", "0", "v: expected bool, got the number 0");
    refused("bool", "\"true\"", "v: expected bool, got the string \"true\"");
    refused("char", "\"\"", "v: \"\" is not one character (Unicode scalar value)");
    refused(
        "char",
        "\"ab\"",
        "v: \"ab\" is not one character (Unicode scalar value)",
    );
    refused(
        "char",
        "\"e\u{301}\"",
        "v: \"e\\u{301}\" is not one character (Unicode scalar value)",
    );
    refused("string", "5", "v: expected string, got the number 5");
    refused("string", "null", "v: expected string, got null");
    refused(
        "string",
        "\"\\ud800\"",
        "v: half a surrogate pair is no character, at line 1, column 13",
    );
    refused(
        "string",
        "\"\\ud800\\u0041\"",
        "v: half a surrogate pair is no character, at line 1, column 19",
    );
    refused(
        "string",
        "\"\\udc00\"",
        "v: half a surrogate pair is no character, at line 1, column 13",
    );
}

#[test]
fn bytes_are_base64_in_the_standard_alphabet_with_padding() {
    same("list<u8>", &["\"\""]);
    same("list<u8>", &["\"AAEC\""]);
    same("list<u8>", &["\"+/8=\"", "\"\\u002b/8=\""]);
    same("list<list<u8>>", &["[\"AA==\",\"\"]"]);
    let long = Val::List((0..5000_u32).map(|n| Val::U8(n.to_le_bytes()[0])).collect());
    let text = encoded("list<u8>", &long, Spelling::Kebab);
    assert_eq!(decoded("list<u8>", &text), Ok(long));
    refused(
        "list<u8>",
        "\"-_8=\"",
        "v: it is base64 in the URL-safe alphabet; write `+` for `-` and `/` for `_`",
    );
    refused("list<u8>", "\"AA\"", "v: its base64 lacks the padding `=` at the end");
    refused(
        "list<u8>",
        "\"AB==\"",
        "v: a list<u8> is written as base64: Invalid last symbol 66, offset 1.",
    );
    refused(
        "list<u8>",
        "\"A A=\"",
        "v: a list<u8> is written as base64: Invalid symbol 32, offset 1.",
    );
    refused("list<u8>", "[0, 1]", "v: expected list<u8>, got an array");
}

#[test]
fn lists_and_tuples_are_arrays() {
    same("list<u32>", &["[]", " [ ] "]);
    same("list<u32>", &["[1,2,3]", "[ 1 ,\n2\t,3 ]"]);
    same("tuple<u8, string>", &["[1,\"a\"]"]);
    refused("list<u32>", "{}", "v: expected a list, got an object");
    refused(
        "list<list<u8>>",
        "[\"AA==\", 5]",
        "v[1]: expected list<u8>, got the number 5",
    );
    refused("tuple<u8, u8>", "[1]", "v: it has 1 of the 2 items of its tuple");
    refused(
        "tuple<u8, u8>",
        "[1, 2, 3]",
        "v: it has more than the 2 items of its tuple",
    );
    refused("tuple<u8, bool>", "[1, 2]", "v[1]: expected bool, got the number 2");
}

#[test]
fn records_are_objects_in_either_spelling() {
    let wit = "record { max-items: u8, text: option<string>, http2-ok: bool }";
    same(
        wit,
        &[
            r#"{"max-items":1,"text":null,"http2-ok":true}"#,
            r#"{"max_items":1,"text":null,"http2_ok":true}"#,
            r#"{"http2-ok":true,"max_items":1}"#,
            r#"{"http2\u002dok":true,"max-items":1.0}"#,
        ],
    );
    let value = decoded(wit, r#"{"max-items":1,"text":"a","http2-ok":true}"#).unwrap();
    let snake = r#"{"max_items":1,"text":"a","http2_ok":true}"#;
    assert_eq!(encoded(wit, &value, Spelling::Snake), snake);
    refused(
        wit,
        r#"{"http2-ok":true}"#,
        "v: the field `max-items` of type u8 is missing",
    );
    refused(
        wit,
        r#"{"max-items":null,"http2-ok":true}"#,
        "v.max-items: expected u8, got null",
    );
    refused(
        wit,
        r#"{"max_items":300,"http2-ok":true}"#,
        "v.max_items: 300 does not fit u8",
    );
    refused(
        wit,
        r#"{"max-items":1,"max_items":1,"http2-ok":true}"#,
        "v: the field `max-items` is given twice (`max-items` and `max_items` are one name)",
    );
    refused(wit, r#"{"text":"a","text":"a"}"#, "v: the field `text` is given twice");
    refused(wit, r#"{"text":null,"text":"a"}"#, "v: the field `text` is given twice");
    refused(
        wit,
        r#"{"maxitems":1}"#,
        "v: there is no field `maxitems`; did you mean `max-items`?",
    );
    refused(
        wit,
        r#"{"max__items":1}"#,
        "v: there is no field `max__items`; did you mean `max-items`?",
    );
    refused(
        wit,
        r#"{"query":1}"#,
        "v: there is no field `query`; fields: `max-items`, `text`, `http2-ok`",
    );
    refused(wit, "[]", "v: expected an object, got an array");
    refused(wit, "\"x\"", "v: expected an object, got the string \"x\"");
}

#[test]
fn options_are_null_or_the_value_and_nested_ones_are_wrapped() {
    same("option<u8>", &["null"]);
    same("option<u8>", &["5"]);
    same("option<option<u8>>", &["null"]);
    same("option<option<u8>>", &["{\"some\":null}"]);
    same("option<option<u8>>", &["{\"some\":5}"]);
    same("option<option<option<u8>>>", &["{\"some\":{\"some\":null}}"]);
    same("option<record { some: option<u8> }>", &["{\"some\":5}"]);
    same("list<option<bool>>", &["[null,true]"]);
    let form = "v: an option of an option is null or {\"some\": …}";
    refused("option<option<u8>>", "5", form);
    refused("option<option<u8>>", "{}", form);
    refused("option<option<u8>>", "{\"none\":5}", form);
    refused("option<option<u8>>", "{\"some\":5,\"some\":5}", form);
    refused("option<option<u8>>", "{\"some\":256}", "v.some: 256 does not fit u8");
    refused("option<u8>", "\"\"", "v: expected u8, got the string \"\"");
}

#[test]
fn variants_are_a_case_or_an_object_of_one_case() {
    let wit = "variant { circle(f64), no-shape, maybe(option<u8>) }";
    same(wit, &["{\"circle\":1.5}"]);
    same(
        wit,
        &[
            "\"no-shape\"",
            "\"no_shape\"",
            "{\"no-shape\":null}",
            "{\"no_shape\":null}",
        ],
    );
    same(wit, &["{\"maybe\":null}"]);
    assert_eq!(
        encoded(wit, &Val::Variant("no-shape".to_owned(), None), Spelling::Snake),
        "\"no_shape\""
    );
    refused(
        wit,
        "\"circle\"",
        "v: the case `circle` carries a value: {\"circle\": …}",
    );
    refused(wit, "\"maybe\"", "v: the case `maybe` carries a value: {\"maybe\": …}");
    refused(
        wit,
        "\"circel\"",
        "v: there is no case `circel`; did you mean `circle`?",
    );
    refused(
        wit,
        "{\"square\":1}",
        "v: there is no case `square`; cases: `circle`, `no-shape`, `maybe`",
    );
    refused(wit, "{\"circle\":true}", "v.circle: expected f64, got true");
    refused(
        wit,
        "{\"no-shape\":1}",
        "v.no-shape: expected null, as this case carries no value, got the number 1",
    );
    refused(wit, "{}", "v: it has one property, whose name is the case");
    refused(
        wit,
        "{\"circle\":1,\"no-shape\":null}",
        "v: it has one property, whose name is the case",
    );
    refused(
        wit,
        "5",
        "v: expected a case, as \"case\" or {\"case\": value}, got the number 5",
    );
}

#[test]
fn enums_are_strings_and_flags_arrays_of_names() {
    same("enum { light-red, green }", &["\"light-red\"", "\"light_red\""]);
    same("flags { may-read, write }", &["[]"]);
    same(
        "flags { may-read, write }",
        &["[\"may-read\",\"write\"]", "[\"write\",\"may_read\"]"],
    );
    let set = Val::Flags(vec!["may-read".to_owned()]);
    assert_eq!(
        encoded("flags { may-read, write }", &set, Spelling::Snake),
        "[\"may_read\"]"
    );
    let red = Val::Enum("light-red".to_owned());
    assert_eq!(
        encoded("enum { light-red, green }", &red, Spelling::Snake),
        "\"light_red\""
    );
    refused(
        "enum { red, green }",
        "\"grean\"",
        "v: there is no case `grean`; did you mean `green`?",
    );
    refused(
        "enum { red, green }",
        "0",
        "v: expected the name of a case, got the number 0",
    );
    refused(
        "flags { read, write }",
        "[\"read\",\"read\"]",
        "v[1]: the flag `read` is given twice",
    );
    refused(
        "flags { read, write }",
        "[\"exec\"]",
        "v[0]: there is no flag `exec`; flags: `read`, `write`",
    );
    refused(
        "flags { read, write }",
        "{\"read\":true}",
        "v: expected an array of names, got an object",
    );
}

#[test]
fn maps_are_objects_where_the_key_is_a_string_and_lists_of_pairs_otherwise() {
    same("map<string, u8>", &["{}"]);
    same("map<string, u8>", &["{\"a b\":1,\"\":2}"]);
    same("map<u32, string>", &["[]"]);
    same("map<u32, string>", &["[[1,\"a\"],[2,\"b\"]]"]);
    same("map<enum { a, b }, bool>", &["[[\"a\",true],[\"b\",false]]"]);
    refused("map<string, u8>", "{\"a b\":300}", "v[\"a b\"]: 300 does not fit u8");
    refused(
        "map<string, u8>",
        "{\"a\":1,\"b\":2,\"\\u0061\":3}",
        "v.a: its key is given twice",
    );
    refused("map<string, u8>", "[]", "v: expected a map, got an array");
    refused("map<u32, u8>", "[[1,1],[2,2],[1,3]]", "v[0]: its key is given twice");
    refused("map<u32, u8>", "[[1,1],[1.0,1]]", "v[0]: its key is given twice");
    for json in ["[[]]", "[[1]]", "[[1,2,3]]"] {
        refused("map<u32, u8>", json, "v[0]: a pair has two items, key and value");
    }
    refused("map<u32, u8>", "[[true,1]]", "v[0][0]: expected u32, got true");
    refused("map<u32, u8>", "[[1,true]]", "v[0][1]: expected u8, got true");
    refused(
        "map<u32, u8>",
        "{\"1\":1}",
        "v: expected a map, as a list of pairs of key and value, got an object",
    );
}

#[test]
fn a_key_that_a_guest_gives_twice_has_its_last_value() {
    let entry = |key: &str, value| (Val::String(key.to_owned()), Val::U8(value));
    let map = Val::Map(vec![entry("a", 1), entry("b", 2), entry("a", 3), entry("a", 4)]);
    assert_eq!(encoded("map<string, u8>", &map, Spelling::Kebab), "{\"b\":2,\"a\":4}");
}

#[test]
fn inner_results_tell_ok_from_err() {
    same("result<u8, string>", &["{\"ok\":1}"]);
    same("result<u8, string>", &["{\"err\":\"x\"}"]);
    same("result", &["{\"ok\":null}"]);
    same("result<_, u8>", &["{\"err\":1}"]);
    same("result<option<u8>>", &["{\"ok\":null}"]);
    let form = "v: a result is {\"ok\": …} or {\"err\": …}";
    refused("result<u8, string>", "{}", form);
    refused("result<u8, string>", "{\"okay\":1}", form);
    refused("result<u8, string>", "{\"ok\":1,\"err\":\"x\"}", form);
    refused("result<u8, string>", "{\"ok\":true}", "v.ok: expected u8, got true");
    refused(
        "result<u8, string>",
        "1",
        "v: expected a result, as {\"ok\": …} or {\"err\": …}, got the number 1",
    );
    refused(
        "result",
        "{\"ok\":1}",
        "v.ok: expected null, as this case carries no value, got the number 1",
    );
}

#[test]
fn the_path_leads_to_the_value_that_does_not_fit() {
    let function = callable(
        "query: record { filters: list<record { max: u8 }> }, limit: option<u32>",
        None,
    );
    let json = r#"{"query":{"filters":[{"max":1},{"max":2},{"max":300}]}}"#;
    let refusal = Arguments::decode(function, json, MIB).err();
    assert_eq!(refusal.unwrap(), "query.filters[2].max: 300 does not fit u8");
}

#[test]
fn arguments_are_an_object_with_a_property_for_each_parameter() {
    let decode = |json: &str| {
        let function = callable("search-text: string, limit: option<u32>", None);
        Arguments::decode(function, json, MIB).map(|arguments| arguments.values().to_vec())
    };
    let values = Ok(vec![Val::String("a".to_owned()), Val::Option(None)]);
    for json in [
        r#"{"search-text":"a"}"#,
        r#"{"limit":null,"search_text":"a"}"#,
        " {\"search-text\" :\n\"a\"}\n",
    ] {
        assert_eq!(decode(json), values, "{json}");
    }
    for (json, message) in [
        ("", "the parameter `search-text` of type string is missing"),
        ("{}", "the parameter `search-text` of type string is missing"),
        (
            "[]",
            "the arguments are a JSON object with a property for each parameter, not an array",
        ),
        (
            "\"a\"",
            "the arguments are a JSON object with a property for each parameter, not the string \"a\"",
        ),
        (
            "{\"text\":1}",
            "there is no parameter `text`; parameters: `search-text`, `limit`",
        ),
        (
            "{\"limits\":1}",
            "there is no parameter `limits`; did you mean `limit`?",
        ),
        ("{\"limit\":1,\"limit\":1}", "the parameter `limit` is given twice"),
        (
            "{\"search-text\":\"a\"} x",
            "expected the end of the text, but found 'x' at line 1, column 21",
        ),
    ] {
        assert_eq!(decode(json), Err(message.to_owned()), "{json}");
    }
    for json in ["", "  \n", "{}"] {
        assert!(Arguments::decode(callable("", None), json, MIB).is_ok(), "{json:?}");
        assert!(
            Arguments::decode(callable("a: option<u8>", None), json, MIB).is_ok(),
            "{json:?}"
        );
    }
    let refusal = Arguments::decode(callable("", None), "{\"a\":1}", MIB).err();
    assert_eq!(refusal.unwrap(), "there is no parameter `a`");
}

#[test]
fn broken_json_names_the_place() {
    for (json, message) in [
        ("[1,]", "v[1]: expected a value, but found ']' at line 1, column 9"),
        ("[1 2]", "v: expected `,` or `]`, but found '2' at line 1, column 9"),
        ("[1", "v: expected `,` or `]`, but found '}' at line 1, column 8"),
        (
            "[01]",
            "v[0]: expected the end of a number, but found '1' at line 1, column 8",
        ),
        ("[1.]", "v[0]: expected a digit, but found ']' at line 1, column 9"),
        ("[-]", "v[0]: expected a digit, but found ']' at line 1, column 8"),
        ("[1e]", "v[0]: expected a digit, but found ']' at line 1, column 9"),
        ("[+1]", "v[0]: expected a value, but found '+' at line 1, column 7"),
        ("[.5]", "v[0]: expected a value, but found '.' at line 1, column 7"),
        (
            "[0x10]",
            "v[0]: expected the end of a number, but found 'x' at line 1, column 8",
        ),
        ("[\n NaN]", "v[0]: expected a value, but found 'N' at line 2, column 2"),
        ("[nul]", "v[0]: expected u32, got null"),
        ("'a'", "v: expected a value, but found '\\'' at line 1, column 6"),
    ] {
        refused("list<u32>", json, message);
    }
    refused(
        "string",
        "\"a\nb\"",
        "v: a control character must be escaped, at line 1, column 8",
    );
    refused(
        "string",
        "\"\\x\"",
        "v: expected one of \" \\ / b f n r t u after a backslash, but found 'x' at line 1, column 8",
    );
    refused(
        "string",
        "\"\\u12é4\"",
        "v: expected four hexadecimal digits, but found '1' at line 1, column 9",
    );
    refused(
        "option<u8>",
        "nul",
        "v: expected a value, but found 'n' at line 1, column 6",
    );
    refused(
        "bool",
        "truex",
        "v: expected a value, but found 't' at line 1, column 6",
    );
    let broken = |json: &str| {
        Arguments::decode(callable("v: option<u8>", None), json, MIB)
            .err()
            .unwrap()
    };
    assert_eq!(broken("{\"v\""), "expected `:`, but the text ends at line 1, column 5");
    assert_eq!(
        broken("{\"v"),
        "expected the end of a string, but the text ends at line 1, column 4"
    );
    assert_eq!(
        broken("{\"v\\"),
        "expected the end of a string, but the text ends at line 1, column 5"
    );
    assert_eq!(
        broken("{v:1}"),
        "expected a key in double quotes, but found 'v' at line 1, column 2"
    );
    assert_eq!(
        broken("{\"v\":1,}"),
        "expected a key in double quotes, but found '}' at line 1, column 8"
    );
    assert_eq!(
        broken("\u{feff}{}"),
        "expected a value, but found '\\u{feff}' at line 1, column 1"
    );
}

#[test]
fn a_short_text_cannot_make_the_host_allocate_beyond_the_budget() {
    let refusal = "the input needs more than the 1048576 bytes of memory that it may take on the host; \
                   send less, or raise `limits.host-memory`";
    let fields: Vec<_> = (0..100).map(|n| format!("field-number{n}: option<u64>")).collect();
    let wide = format!("list<record {{ {} }}>", fields.join(", "));
    let many = format!("[{}{{}}]", "{},".repeat(999));
    let bytes = format!("\"{}\"", "AAAA".repeat(20_000));
    let numbers = format!("[{}0]", "0,".repeat(40_000));
    let pairs = format!(
        "[{}]",
        (0..20_000).map(|n| format!("[{n},0]")).collect::<Vec<_>>().join(",")
    );
    for (wit, json) in [
        (wide.as_str(), &many),
        ("list<u8>", &bytes),
        ("list<bool>", &numbers.replace('0', "true")),
    ] {
        let message = decoded(wit, json).unwrap_err();
        assert!(message.ends_with(refusal), "{message}");
    }
    let message = decoded("map<u32, u8>", &pairs).unwrap_err();
    assert!(message.ends_with(refusal), "{message}");
    let text = format!("\"{}\"", "x".repeat(usize::try_from(MIB).unwrap() + 1));
    refused("string", &text, &format!("v: {refusal}"));
    refused("list<string>", &format!("[{text}]"), &format!("v[0]: {refusal}"));
}

#[test]
fn a_deep_text_is_refused_where_it_leaves_its_type() {
    let deep = "[".repeat(1_000_000);
    refused("list<u32>", &deep, "v[0]: expected u32, got an array");
    refused("u8", &deep, "v: expected u8, got an array");
    let most = format!("{}u8{}", "list<".repeat(100), ">".repeat(100));
    refused(
        &most,
        &deep,
        &format!("v{}: expected list<u8>, got an array", "[0]".repeat(99)),
    );
}

#[test]
fn what_is_shown_of_a_wrong_value_is_short() {
    let long = format!("\"{}\"", "é".repeat(100_000));
    let message = decoded("u8", &long).unwrap_err();
    assert!(message.len() < 200, "{message}");
    let message = decoded("record { a: u8 }", &format!("{{{long}:1}}")).unwrap_err();
    assert!(message.len() < 200, "{message}");
    let message = decoded("u8", &"9".repeat(100_000)).unwrap_err();
    assert!(message.len() < 200, "{message}");
}

#[test]
fn a_result_at_the_top_is_a_value_or_a_failure() {
    let returned = |wit: &str, val: Val| encode(Some(&ty(wit)), Some(&val), Spelling::Kebab, MIB).unwrap();
    let ok = |json: &str| Returned::Ok { json: json.to_owned() };
    let err = |case: Option<&str>, json: &str| Returned::Err {
        case: case.map(str::to_owned),
        json: json.to_owned(),
    };
    let boxed = |val| Some(Box::new(val));
    let text = || Val::String("no".to_owned());
    assert_eq!(
        returned("result<u8, string>", Val::Result(Ok(boxed(Val::U8(1))))),
        ok("1")
    );
    assert_eq!(returned("result<_, string>", Val::Result(Ok(None))), ok("null"));
    assert_eq!(
        returned("result<u8, string>", Val::Result(Err(boxed(text())))),
        err(None, "\"no\"")
    );
    assert_eq!(returned("result<u8>", Val::Result(Err(None))), err(None, "null"));
    let limited = Val::Variant("rate-limited".to_owned(), boxed(Val::U32(7)));
    assert_eq!(
        returned(
            "result<u8, variant { rate-limited(u32), other }>",
            Val::Result(Err(boxed(limited)))
        ),
        err(Some("rate-limited"), "{\"rate-limited\":7}")
    );
    let denied = Val::Enum("not-found".to_owned());
    assert_eq!(
        returned("result<u8, enum { not-found }>", Val::Result(Err(boxed(denied)))),
        err(Some("not-found"), "\"not-found\"")
    );
    assert_eq!(returned("option<u8>", Val::Option(None)), ok("null"));
    assert_eq!(encode(None, None, Spelling::Kebab, MIB).unwrap(), ok("null"));
}

#[test]
fn the_case_of_a_failure_is_spelled_as_in_wit_and_its_json_as_asked() {
    let failure = Val::Result(Err(Some(Box::new(Val::Enum("not-found".to_owned())))));
    let wit = ty("result<u8, enum { not-found }>");
    let returned = encode(Some(&wit), Some(&failure), Spelling::Snake, MIB).unwrap();
    let case = Some("not-found".to_owned());
    let json = "\"not_found\"".to_owned();
    assert_eq!(returned, Returned::Err { case, json });
}

#[test]
fn output_is_limited_in_bytes_of_json() {
    let wit = "list<record { text: string, bytes: list<u8>, number: f64, at: u64 }>";
    let json = r#"[{"text":"a\n","bytes":"AAAA","number":0.1,"at":12345}]"#;
    let value = decoded(wit, json).unwrap();
    let length = json.len() as u64;
    let written = encode(Some(&ty(wit)), Some(&value), Spelling::Kebab, length).unwrap();
    assert_eq!(written, Returned::Ok { json: json.to_owned() });
    for limit in 0..length {
        let refusal = encode(Some(&ty(wit)), Some(&value), Spelling::Kebab, limit);
        assert_eq!(refusal, Err(EncodeError::TooLarge { limit }));
    }
}

#[test]
fn a_value_of_another_type_is_an_error_and_no_panic() {
    let values = [
        Val::Bool(true),
        Val::List(vec![Val::Bool(true)]),
        Val::Enum("z".to_owned()),
        Val::Record(vec![]),
    ];
    for wit in [
        "u8",
        "list<u8>",
        "enum { a }",
        "record { a: u8 }",
        "variant { z(u8) }",
        "f32",
        "flags { a }",
    ] {
        for val in &values {
            let refusal = encode(Some(&ty(wit)), Some(val), Spelling::Kebab, MIB);
            assert!(matches!(refusal, Err(EncodeError::Mismatch(_))), "{wit}: {val:?}");
        }
    }
    assert!(encode(None, Some(&Val::Bool(true)), Spelling::Kebab, MIB).is_err());
    assert!(encode(Some(&ty("u8")), None, Spelling::Kebab, MIB).is_err());
}
