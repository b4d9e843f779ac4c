//! What holds for every type and every value: exact round trips, through guests too, and fingerprints of values alone.

#![allow(clippy::unwrap_used)]

use super::{Arguments, Returned, encode};
use crate::fingerprint::fingerprint;
use crate::schema::schemas;
use crate::shape::testing::{ENGINE, any_type, any_value, callable, identities, list_of};
use crate::shape::wit_type::{Field, Name, WitType};
use crate::shape::{Callable, Surface};
use fusebox_engine::ports::sandbox::{Input, Spelling};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Component, Linker, Val};

const MIB: u64 = 1 << 20;

/// A function that takes one argument `some-value` and returns it.
fn function(ty: &WitType) -> Arc<Callable> {
    let template = callable("", None);
    let param = Field {
        name: Name::new("some-value"),
        ty: ty.clone(),
    };
    Arc::new(Callable {
        name: template.name.clone(),
        interface: None,
        params: vec![param],
        result: Some(ty.clone()),
        export: template.export,
    })
}

fn json_of(ty: &WitType, val: &Val, spelling: Spelling) -> String {
    let tuple = WitType::Tuple(vec![ty.clone()]);
    match encode(Some(&tuple), Some(&Val::Tuple(vec![val.clone()])), spelling, MIB).unwrap() {
        Returned::Ok { json } => json[1..json.len() - 1].to_owned(),
        Returned::Err { .. } => unreachable!(),
    }
}

fn decode(function: &Arc<Callable>, json: &str) -> Result<Arguments, String> {
    Arguments::decode(Arc::clone(function), &format!("{{\"some-value\":{json}}}"), 64 * MIB)
}

/// The same JSON with other white space, escapes, numbers, and order of properties.
fn respelled(json: &str, seed: u64) -> String {
    let mut state = seed | 1;
    let mut coin = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 63 == 1
    };
    let mut out = String::new();
    let mut in_string = false;
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let escape = chars.next().unwrap();
                out.extend([c, escape]);
                out.extend(chars.by_ref().take(if escape == 'u' { 4 } else { 0 }));
                continue;
            }
            '"' => in_string = !in_string,
            'a'..='z' | '-' if in_string && coin() => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
                continue;
            }
            _ => {}
        }
        let structure = !in_string && "[]{},:".contains(c);
        if structure && coin() {
            out.push_str(" \t");
        }
        out.push(c);
        if structure && coin() {
            out.push('\n');
        }
    }
    out
}

/// The value with its records' absent options left out, as text; names in snake case and properties backwards.
fn backwards(ty: &WitType, val: &Val) -> String {
    match (ty, val) {
        (WitType::Record(fields), Val::Record(values)) => {
            let present = fields.iter().zip(values).rev();
            let present = present.filter(|(_, (_, val))| !matches!(val, Val::Option(None)));
            let property = |(field, (_, val)): (&Field, &(String, Val))| {
                format!(
                    "{:?}:{}",
                    field.name.spelled(Spelling::Snake),
                    backwards(&field.ty, val)
                )
            };
            format!("{{{}}}", present.map(property).collect::<Vec<_>>().join(","))
        }
        (WitType::List(item), Val::List(items)) => {
            format!(
                "[{}]",
                items
                    .iter()
                    .map(|val| backwards(item, val))
                    .collect::<Vec<_>>()
                    .join(",")
            )
        }
        (WitType::Map(map), Val::Map(entries)) if map.0 != WitType::String => {
            let pair = |(key, val): &(Val, Val)| format!("[{},{}]", backwards(&map.0, key), backwards(&map.1, val));
            format!("[{}]", entries.iter().rev().map(pair).collect::<Vec<_>>().join(","))
        }
        (WitType::Integer(_), Val::U64(n)) => format!("\"{n}\""),
        (WitType::Integer(_), Val::U32(n)) => format!("{n}.0"),
        (WitType::Integer(_), Val::S16(n)) => format!("{n}0e-1"),
        _ => json_of(ty, val, Spelling::Snake),
    }
}

/// Whether the output of a function of that result type is an object of itself.
fn bare(result: &WitType) -> bool {
    match result {
        WitType::Result(result) => result
            .0
            .as_ref()
            .is_some_and(|ok| matches!(ok, WitType::Record(_)) || keyed(ok)),
        ty => matches!(ty, WitType::Record(_)) || keyed(ty),
    }
}

fn keyed(ty: &WitType) -> bool {
    matches!(ty, WitType::Map(map) if map.0 == WitType::String)
}

fn typed_values() -> impl Strategy<Value = (WitType, Vec<Val>)> {
    any_type().prop_flat_map(|ty| {
        let values = vec(any_value(&ty), 1..4);
        (Just(ty), values)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_value_survives_json_in_every_spelling((ty, values) in typed_values(), seed: u64) {
        let function = function(&ty);
        for val in values {
            let kebab = json_of(&ty, &val, Spelling::Kebab);
            let texts = [json_of(&ty, &val, Spelling::Snake), respelled(&kebab, seed), backwards(&ty, &val), kebab];
            let print = fingerprint(&function.params, std::slice::from_ref(&val));
            for text in texts {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
                let arguments = decode(&function, &text).unwrap();
                prop_assert_eq!(arguments.fingerprint(), print, "{}", text);
                prop_assert_eq!(sorted(&arguments.values()[0]), sorted(&val), "{}", text);
            }
        }
    }

    #[test]
    fn values_cross_to_another_tool_and_back((ty, values) in typed_values()) {
        let function = function(&WitType::List(Box::new(ty.clone())));
        let list = Val::List(values.clone());
        let json = super::encode_arguments(&function.params, std::slice::from_ref(&list), MIB).unwrap();
        let arguments = Arguments::decode(Arc::clone(&function), &json, 64 * MIB).unwrap();
        prop_assert_eq!(sorted(&arguments.values()[0]), sorted(&list), "{}", json);
        for val in values {
            let json = json_of(&ty, &val, Spelling::Kebab);
            let back = super::decode(&json, Some(&ty), 64 * MIB).unwrap().unwrap();
            prop_assert_eq!(sorted(&back), sorted(&val), "{}", json);
        }
    }

    #[test]
    fn values_that_differ_have_fingerprints_that_differ((ty, values) in typed_values()) {
        let function = function(&ty);
        let print = |val: &Val| fingerprint(&function.params, std::slice::from_ref(val));
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
            prop_assert_eq!(print(a) == print(b), sorted(a) == sorted(b), "{:?} {:?}", a, b);
        }
    }

    #[test]
    fn what_is_printed_fits_the_schema((ty, values) in typed_values()) {
        let function = function(&ty);
        let schemas = schemas(&function, &BTreeMap::new());
        crate::schema::tests::acceptable(&schemas.input);
        let input = jsonschema::validator_for(&schemas.input).unwrap();
        for val in values {
            let text = json_of(&ty, &val, Spelling::Snake);
            let json: serde_json::Value = serde_json::from_str(&format!("{{\"some_value\":{text}}}")).unwrap();
            prop_assert!(input.is_valid(&json), "{} {}", json, schemas.input);
            let returned = encode(Some(&ty), Some(&val), Spelling::Snake, MIB).unwrap();
            if let (Returned::Ok { json }, Some(schema)) = (returned, &schemas.output) {
                crate::schema::tests::acceptable(schema);
                let json: serde_json::Value = serde_json::from_str(&json).unwrap();
                let json = if bare(&ty) { json } else { serde_json::json!({ "result": json }) };
                prop_assert!(jsonschema::is_valid(schema, &json), "{} {}", json, schema);
            }
        }
    }

    #[test]
    fn no_text_panics_and_none_that_is_no_json_is_taken(ty in any_type(), text in any_json()) {
        let function = function(&ty);
        if decode(&function, &text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
        let _refused = Arguments::decode(function, &text, MIB);
    }

    #[test]
    fn a_text_that_is_cut_or_changed_never_panics((ty, values) in typed_values(), at: prop::sample::Index, with: char) {
        let function = function(&ty);
        let text = json_of(&ty, &values[0], Spelling::Kebab);
        let chars: Vec<_> = text.chars().collect();
        let at = at.index(chars.len());
        let cut: String = chars[..at].iter().collect();
        prop_assert!(decode(&function, &cut).is_err() || serde_json::from_str::<serde_json::Value>(&cut).is_ok());
        let changed: String = chars[..at].iter().chain([&with]).chain(&chars[at + 1..]).collect();
        if decode(&function, &changed).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&changed).is_ok(), "{}", changed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_value_survives_a_guest(typed in vec(typed_values(), 6)) {
        let types: Vec<_> = typed.iter().map(|(ty, _)| ty.clone()).collect();
        let component = Component::new(&ENGINE, identities(&types)).unwrap();
        let surface = Surface::of(&component, |_| true);
        prop_assert!(surface.shape.left_out.is_empty());
        for (at, (ty, values)) in typed.into_iter().enumerate() {
            let function = &surface.callables[&format!("f{at}")];
            prop_assert_eq!(&function.params[0].ty, &list_of(ty.clone()));
            let json = format!("{{\"v\":{}}}", json_of(&function.params[0].ty, &Val::List(values), Spelling::Kebab));
            let arguments = Arguments::decode(Arc::clone(function), &json, MIB).unwrap();
            let mut store = Store::new(&ENGINE, ());
            let instance = Linker::new(&ENGINE).instantiate(&mut store, &component).unwrap();
            let guest = instance.get_func(&mut store, function.export).unwrap();
            let mut results = [Val::Bool(false)];
            guest.call(&mut store, arguments.values(), &mut results).unwrap();
            let back = json_of(function.result.as_ref().unwrap(), &results[0], Spelling::Kebab);
            prop_assert_eq!(format!("{{\"v\":{}}}", back), json);
        }
    }
}

/// Texts of JSON's characters, valid or not.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?[0-9]{1,25}(\\.[0-9]{0,3})?(e[+-]?[0-9]{0,4})?",
        "\"[a-z\\\\u0-9\"]{0,6}\"",
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<String>(),
        "[\\[\\]{}:,\"\\\\ 0-9a-z]{0,12}",
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("[a-z-]{0,9}", inner), 0..3).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(key, json)| format!("{key:?}:{json}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

/// A value with its maps in one order and its zeros without a sign, as two values of one fingerprint are equal.
fn sorted(val: &Val) -> Val {
    let boxed = |val: &Option<Box<Val>>| val.as_ref().map(|val| Box::new(sorted(val)));
    match val {
        Val::Float32(n) => Val::Float32(n + 0.0),
        Val::Float64(n) => Val::Float64(n + 0.0),
        Val::List(items) => Val::List(items.iter().map(sorted).collect()),
        Val::Tuple(items) => Val::Tuple(items.iter().map(sorted).collect()),
        Val::Record(fields) => Val::Record(fields.iter().map(|(name, val)| (name.clone(), sorted(val))).collect()),
        Val::Map(entries) => {
            let mut entries: Vec<_> = entries.iter().map(|(key, val)| (sorted(key), sorted(val))).collect();
            entries.sort_by_key(|(key, _)| format!("{key:?}"));
            Val::Map(entries)
        }
        Val::Variant(case, carried) => Val::Variant(case.clone(), boxed(carried)),
        Val::Option(some) => Val::Option(boxed(some)),
        Val::Result(Ok(carried)) => Val::Result(Ok(boxed(carried))),
        Val::Result(Err(carried)) => Val::Result(Err(boxed(carried))),
        val => val.clone(),
    }
}
