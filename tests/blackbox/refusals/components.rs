//! Components that cannot be run.

use super::{codes, refused};
use crate::site::{Site, guest};
use std::fs::{self, File};
use std::time::Duration;

/// A core module: the header, and nothing else.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// `(component (import "example:missing/thing@1.0.0" (instance)))`, with one function of no types that it needs.
const UNKNOWN_IMPORT: &str = r#"(component
  (import "example:missing/thing@1.0.0" (instance $thing (export "f" (func))))
  (alias export $thing "f" (func $f))
  (core func $lowered (canon lower (func $f)))
  (core module $m (import "a" "f" (func $f)) (func (export "run") (call $f)))
  (core instance $i (instantiate $m (with "a" (instance (export "f" (func $lowered))))))
  (func (export "run") (canon lift (core func $i "run"))))"#;

fn site() -> Site {
    Site::deployed(&["calculator"])
}

/// A manifest of a component that is to be refused, with that code.
#[track_caller]
fn refuses(site: &Site, component: &str, code: &str) {
    site.write("t.toml", &format!("name = \"t\"\ncomponent = \"{component}\"\n"));
    for command in ["deploy", "check"] {
        let ran = refused(site, &[command, "t.toml", "--json"]);
        assert_eq!(codes(&ran), [code], "{}", ran.shown());
        let finding = &ran.json()["findings"][0];
        assert_eq!(
            (finding["file"].as_str(), finding["line"].as_u64()),
            (Some("t.toml"), Some(2)),
            "{finding}"
        );
    }
    let path = site.path(component);
    let tried = site
        .fusebox(&["try", path.to_str().unwrap(), "run", "{}", "--json"])
        .exits(64);
    assert_eq!(codes(&tried), [code], "{}", tried.shown());
}

#[test]
fn a_component_that_was_cut_off() {
    let site = site();
    let bytes = fs::read(guest("search.wasm")).unwrap();
    fs::write(site.path("cut.wasm"), &bytes[..bytes.len() / 2]).unwrap();
    refuses(&site, "cut.wasm", "FB0501");
}

#[test]
fn a_component_with_a_bit_that_fell_over() {
    let site = site();
    let mut bytes = fs::read(guest("search.wasm")).unwrap();
    bytes[20] ^= 0xff;
    fs::write(site.path("bit.wasm"), &bytes).unwrap();
    refuses(&site, "bit.wasm", "FB0501");
}

#[test]
fn text_and_emptiness_are_no_components() {
    let site = site();
    site.write("text.wasm", "name = \"search\"");
    refuses(&site, "text.wasm", "FB0501");
    site.write("empty.wasm", "");
    refuses(&site, "empty.wasm", "FB0501");
}

#[test]
fn a_core_module() {
    let site = site();
    fs::write(site.path("core.wasm"), CORE_MODULE).unwrap();
    refuses(&site, "core.wasm", "FB0502");
}

#[test]
fn a_file_of_200_mb_is_refused_before_it_is_read() {
    let site = site();
    File::create(site.path("huge.wasm"))
        .unwrap()
        .set_len(200 << 20)
        .unwrap();
    refuses(&site, "huge.wasm", "FB0503");
    let ran = site.fusebox(&["check", "t.toml"]).exits(64);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
}

#[test]
fn an_import_that_nobody_provides() {
    let site = site();
    fs::write(site.path("import.wasm"), wat::parse_str(UNKNOWN_IMPORT).unwrap()).unwrap();
    refuses(&site, "import.wasm", "FB0612");
    site.fusebox(&["check", "t.toml"])
        .exits(64)
        .says("example:missing/thing@1.0.0");
}

#[test]
fn a_component_without_a_function() {
    let site = site();
    fs::write(site.path("nothing.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    refuses(&site, "nothing.wasm", "FB0506");
}

#[test]
fn a_file_that_is_not_there() {
    let site = site();
    refuses(&site, "missing.wasm", "FB0115");
    refuses(&site, "home", "FB0115");
}

#[test]
fn a_component_named_by_a_digest_that_is_not_deployed() {
    let site = site();
    let digest = format!("sha256:{}", "0".repeat(64));
    site.write("t.toml", &format!("name = \"t\"\ncomponent = \"{digest}\"\n"));
    let ran = refused(&site, &["deploy", "t.toml", "--json"]);
    assert_eq!(codes(&ran), ["FB0115"]);
}

#[test]
fn compiled_code_that_was_tampered_with_is_compiled_anew() {
    let site = site();
    let cache = site.path("cache");
    let cache = cache.to_str().unwrap();
    let call = [
        "call",
        "calculator.evaluate",
        r#"{"expression":"2+2"}"#,
        "--cache",
        cache,
    ];
    site.fusebox(&call).exits(0);
    let mut changed = 0;
    let mut folders = vec![site.path("cache")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.metadata().unwrap().len() > 1_000 {
                let mut bytes = fs::read(entry.path()).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0xff;
                fs::write(entry.path(), bytes).unwrap();
                changed += 1;
            }
        }
    }
    assert!(changed > 0);
    assert_eq!(site.fusebox(&call).exits(0).stdout, "4.0\n");
}
