//! What is seen of components: names of functions, what is left out, imports.

#![allow(clippy::unwrap_used)]

use super::Surface;
use super::testing::{ENGINE, ty};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

fn surface(wat: &str) -> Surface {
    surface_on(&ENGINE, wat)
}

fn surface_on(engine: &Engine, wat: &str) -> Surface {
    let component = Component::new(engine, wat).unwrap();
    Surface::of(&component, |name| name.starts_with("wasi:"))
}

/// A component that exports interfaces, each with the functions `query` and those named besides.
fn interfaces(exports: &[(&str, &[&str])]) -> String {
    let mut wat = String::from(
        r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
           (func $f (canon lift (core func $i "f")))"#,
    );
    for (interface, functions) in exports {
        let functions: String = functions
            .iter()
            .map(|name| format!("(export {name:?} (func $f))"))
            .collect();
        wat += &format!("(instance (export {interface:?}) {functions})");
    }
    wat + ")"
}

fn names(surface: &Surface) -> Vec<&str> {
    surface
        .shape
        .functions
        .iter()
        .map(|function| function.name.as_str())
        .collect()
}

#[test]
fn a_function_has_the_shortest_name_that_is_its_own() {
    let exports: &[(&str, &[&str])] = &[
        ("acme:search/web@1.0.0", &["query", "ping"]),
        ("acme:search/news@1.0.0", &["query"]),
    ];
    assert_eq!(
        names(&surface(&interfaces(exports))),
        ["web.query", "ping", "news.query"]
    );
    let exports: &[(&str, &[&str])] = &[
        ("acme:search/api@1.0.0", &["query"]),
        ("acme:mail/api@1.0.0", &["query"]),
    ];
    let expected = ["acme:search/api@1.0.0.query", "acme:mail/api@1.0.0.query"];
    assert_eq!(names(&surface(&interfaces(exports))), expected);
    let wat = interfaces(&[("acme:search/api@1.0.0", &["query"])]);
    let wat = wat.strip_suffix(')').unwrap().to_owned() + "(export \"query\" (func $f)))";
    assert_eq!(names(&surface(&wat)), ["query", "api.query"]);
}

#[test]
fn a_function_knows_its_interface_and_can_be_found_in_an_instance() {
    let exports: &[(&str, &[&str])] = &[("acme:search/api@1.0.0", &["query"])];
    let component = Component::new(&ENGINE, interfaces(exports)).unwrap();
    let surface = Surface::of(&component, |_| true);
    assert_eq!(
        surface.shape.functions[0].interface.as_deref(),
        Some("acme:search/api@1.0.0")
    );
    let mut store = wasmtime::Store::new(&ENGINE, ());
    let instance = wasmtime::component::Linker::new(&ENGINE)
        .instantiate(&mut store, &component)
        .unwrap();
    let function = instance
        .get_func(&mut store, surface.callables["query"].export)
        .unwrap();
    function.call(&mut store, &[], &mut []).unwrap();
}

#[test]
fn exports_of_wasi_are_never_tools() {
    let exports: &[(&str, &[&str])] = &[("wasi:cli/run@0.2.0", &["run"]), ("acme:a/api@1.0.0", &["run"])];
    let surface = surface(&interfaces(exports));
    assert_eq!(names(&surface), ["run"]);
    assert!(surface.shape.left_out.is_empty());
}

#[test]
fn types_are_shown_as_wit_text_and_error_cases_are_listed() {
    let texts = [
        "record { max-items: u8, tag: option<string> }",
        "variant { circle(f64), none }",
        "tuple<s8, s16, s32, s64, u8, u16, u32, u64>",
        "result<list<u8>, enum { not-found, rate-limited }>",
        "result<_, variant { rate-limited(u32), other }>",
        "map<string, flags { read, write }>",
        "result<char>",
        "result",
        "list<list<f32>>",
    ];
    let types: Vec<_> = texts.iter().map(|text| ty(text)).collect();
    let surface = surface(&super::testing::identities(&types));
    for (function, text) in surface.shape.functions.iter().zip(texts) {
        assert_eq!(function.params, [("v".to_owned(), format!("list<{text}>"))]);
        assert_eq!(function.result, Some(format!("list<{text}>")));
        assert_eq!(function.error_cases, None);
    }
    let cases = |text: &str| super::error_cases(&ty(text));
    let both = Some(vec!["not-found".to_owned(), "rate-limited".to_owned()]);
    assert_eq!(cases("result<u8, enum { not-found, rate-limited }>"), both);
    assert_eq!(cases("result<_, variant { not-found, rate-limited(u32) }>"), both);
    for text in ["result<u8, string>", "result<enum { a }>", "result", "enum { a }"] {
        assert_eq!(cases(text), None, "{text}");
    }
}

#[test]
fn what_json_cannot_express_is_left_out_with_the_reason() {
    let mut config = Config::new();
    config.wasm_component_model_fixed_length_lists(true);
    config.wasm_component_model_async(true);
    config.wasm_component_model_error_context(true);
    let engine = Engine::new(&config).unwrap();
    let wat = r#"(component
        (core module $m (memory (export "memory") 1)
          (func (export "take") (param i32))
          (func (export "many") (param i32 i32))
          (func (export "drop") (param i32))
          (func (export "new") (result i32) (i32.const 0))
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (type $session' (resource (rep i32)))
        (export $session "session" (type $session'))
        (func (export "open") (result (own $session)) (canon lift (core func $i "new")))
        (func (export "keep") (param "held" (own $session)) (canon lift (core func $i "take")))
        (func (export "[method]session.ask") (param "self" (borrow $session)) (canon lift (core func $i "take")))
        (func (export "later") (param "answer" (future u8)) (canon lift (core func $i "take")))
        (func (export "flow") (param "bytes" (stream u8)) (canon lift (core func $i "take")))
        (func (export "wrong") (param "error" error-context) (canon lift (core func $i "take")))
        (func (export "pair") (param "two" (list u8 2)) (canon lift (core func $i "many")))
        (func (export "deep") (param "a" (list (option (own $session))))
          (canon lift (core func $i "many") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
        (func (export "good") (param "v" u32) (canon lift (core func $i "take"))))"#;
    let surface = surface_on(&engine, wat);
    assert_eq!(names(&surface), ["good"]);
    let reasons: Vec<_> = surface
        .shape
        .left_out
        .iter()
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    assert_eq!(
        reasons,
        [
            "open: `result` is a resource, which JSON cannot express",
            "keep: `held` is a resource, which JSON cannot express",
            "[method]session.ask: it belongs to a resource, which JSON cannot express",
            "later: `answer` is a future, which JSON cannot express",
            "flow: `bytes` is a stream, which JSON cannot express",
            "wrong: `error` is an error-context, which JSON cannot express",
            "pair: `two` is a list of fixed length, which JSON cannot express",
            "deep: `a.item.some` is a resource, which JSON cannot express",
        ]
    );
}

#[test]
fn a_type_that_unfolds_without_end_is_left_out() {
    let mut wat = String::from(
        r#"(component (core module $m (memory (export "memory") 1) (func (export "f") (param i32))
             (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
           (core instance $i (instantiate $m))
           (type $a0 (record (field "x" u8))) (export $b0 "t0" (type $a0))"#,
    );
    for n in 1..16 {
        let before = n - 1;
        wat += &format!(
            r#"(type $a{n} (record (field "x" $b{before}) (field "y" $b{before}))) (export $b{n} "t{n}" (type $a{n}))"#
        );
    }
    wat += r#"(func (export "f") (param "v" $b15)
                (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;
    let surface = surface(&wat);
    let reason = "its types unfold into more than 10000 parts".to_owned();
    assert_eq!(surface.shape.left_out, [("f".to_owned(), reason)]);
}

#[test]
fn imports_are_told_apart_by_who_provides_them() {
    let surface = surface(
        r#"(component
            (import "wasi:clocks/wall-clock@0.2.3" (instance (export "now" (func))))
            (import "acme:db/store@1.0.0" (instance
              (type $t (enum "a" "b")) (export "kind" (type $kind (eq $t)))
              (export "get" (func (param "key" string) (result (result (list u8) (error $kind)))))
              (export "ping" (func))))
            (import "acme:db/types@1.0.0" (instance (type $t (enum "a")) (export "kind" (type (eq $t)))))
            (import "fusebox:host/clouds@0.1.0" (instance (export "rain" (func))))
            (import "store" (instance (export "get" (func))))
            (import "log" (func)))"#,
    );
    assert_eq!(surface.shape.imports, ["wasi:clocks/wall-clock@0.2.3"]);
    assert_eq!(
        surface.shape.missing_imports,
        ["fusebox:host/clouds@0.1.0", "store", "log"]
    );
    let [store] = &surface.shape.tools[..] else {
        unreachable!()
    };
    assert_eq!(store.interface, "acme:db/store@1.0.0");
    let [get, ping] = &store.functions[..] else {
        unreachable!()
    };
    assert_eq!(
        (get.name.as_str(), get.interface.as_deref()),
        ("get", Some("acme:db/store@1.0.0"))
    );
    assert_eq!(get.params, [("key".to_owned(), "string".to_owned())]);
    assert_eq!(get.result.as_deref(), Some("result<list<u8>, enum { a, b }>"));
    assert_eq!(get.error_cases, Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!((ping.params.len(), ping.result.as_deref()), (0, None));
}

#[test]
fn an_interface_that_json_cannot_express_is_nobodys_and_says_why() {
    let surface = surface(
        r#"(component
            (import "acme:db/sessions@1.0.0" (instance
              (export "session" (type $session (sub resource)))
              (export "open" (func (result (own $session))))))
            (import "acme:db/errors@1.0.0" (instance
              (export "error" (type $error (sub resource)))))
            (alias export 1 "error" (type $error))
            (import "acme:db/store@1.0.0" (instance
              (export "get" (func (param "key" string)))
              (export "why" (func (result (own $error)))))))"#,
    );
    assert_eq!(surface.shape.tools, []);
    let why: Vec<_> = surface
        .missing
        .iter()
        .map(|missing| format!("{}: {}", missing.name, missing.why.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(
        why,
        [
            "acme:db/sessions@1.0.0: `session` is a resource, which JSON cannot express",
            "acme:db/errors@1.0.0: `error` is a resource, which JSON cannot express",
            "acme:db/store@1.0.0: `why`: `result` is a resource, which JSON cannot express",
        ]
    );
}
