//! From bytes to a component: what is refused, with which code; what is kept; and where it runs.

use crate::support::{BROKEN, Trial, child_program, compile_in, digest_of, end_of, ok, sandbox, settings, snapshot_of};
use fusebox_engine::ports::sandbox::{LoadError, Sandbox as _};
use fusebox_sandbox::WasmSandbox;
use std::fs;
use std::path::{Path, PathBuf};

async fn refused(bytes: &[u8]) -> LoadError {
    sandbox()
        .compile(digest_of(bytes), bytes.to_vec().into())
        .await
        .err()
        .unwrap()
}

async fn refused_text(text: &str) -> LoadError {
    compile_in(&sandbox(), text).await.err().unwrap()
}

/// The one file of compiled code in a cache.
fn code_file(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("cache"))
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "code"))
        .unwrap()
}

#[tokio::test]
async fn what_is_no_component_is_told_from_what_is_a_broken_one() {
    assert_eq!(refused(b"#!/bin/sh").await.code, "FB0501");
    assert_eq!(refused(b"").await.code, "FB0501");
    let mut broken = wat::parse_str(BROKEN).unwrap();
    broken.truncate(100);
    assert_eq!(refused(&broken).await.code, "FB0501");
    let module = wat::parse_str("(module)").unwrap();
    let error = refused(&module).await;
    assert_eq!(error.code, "FB0502");
    assert!(error.message.contains("wasm32-wasip2"), "{error}");
}

#[tokio::test]
async fn a_file_of_200_megabytes_is_refused_before_it_is_parsed() {
    let mut huge = wat::parse_str(BROKEN).unwrap();
    huge.resize(200 << 20, 0);
    let error = refused(&huge).await;
    assert_eq!(error.code, "FB0503");
    assert!(
        error.message.contains("200 MiB") && error.message.contains("64 MiB"),
        "{error}"
    );
}

#[tokio::test]
async fn every_import_that_nobody_provides_is_named() {
    let error = refused_text(
        r#"(component
          (import "acme:db/store@1.0.0" (instance (export "row" (type (sub resource)))))
          (import "wasi:keyvalue/store@0.2.0" (instance (export "get" (func))))
          (core module $m (func (export "f"))) (core instance $i (instantiate $m))
          (func (export "f") (canon lift (core func $i "f"))))"#,
    )
    .await;
    assert_eq!(error.code, "FB0504");
    for name in ["`acme:db/store@1.0.0`", "`wasi:keyvalue/store@0.2.0`"] {
        assert!(error.message.contains(name), "{error}");
    }
}

#[tokio::test]
async fn an_import_of_another_type_than_the_hosts_is_refused() {
    let error = refused_text(
        r#"(component (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result string)))))
          (core module $m (func (export "f"))) (core instance $i (instantiate $m))
          (func (export "f") (canon lift (core func $i "f"))))"#,
    )
    .await;
    assert_eq!(error.code, "FB0504");
    assert!(error.message.contains("get-random-u64"), "{error}");
}

#[tokio::test]
async fn a_component_without_a_function_is_no_tool() {
    assert_eq!(refused_text("(component)").await.code, "FB0506");
}

#[tokio::test]
async fn a_component_of_a_thousand_instances_needs_too_much() {
    let instances = "(core instance (instantiate $m))".repeat(1_001);
    let error = refused_text(&format!("(component (core module $m) {instances})")).await;
    assert_eq!(error.code, "FB0507");
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_digest_are_refused() {
    let wasm = wat::parse_str(BROKEN).unwrap();
    let error = sandbox().compile(digest_of(b"other"), wasm.into()).await.err().unwrap();
    assert_eq!(error.code, "FB0501");
}

#[tokio::test]
async fn a_component_too_large_for_the_pool_runs_on_demand_and_says_why() {
    // Ten tables, and the pool holds eight of one module.
    let tables = "(table 1 funcref)".repeat(10);
    let text = format!(
        r#"(component
          (core module $m {tables} (memory 1) (global (mut i32) (i32.const 9))
            (func (export "f") (result i32) (i32.const 7))
            (func (export "g") (result i32) unreachable))
          (core instance $i (instantiate $m))
          (func (export "f") (result u32) (canon lift (core func $i "f")))
          (func (export "g") (result u32) (canon lift (core func $i "g"))))"#
    );
    let component = compile_in(&sandbox(), &text).await.unwrap();
    assert!(
        component.facts().unpooled.as_deref().unwrap().contains("10"),
        "{:?}",
        component.facts()
    );
    assert_eq!(end_of(&component, "f").await, ok("7"));
    let snapshot = snapshot_of(Trial::of(&component, "g").run().await).await;
    assert_eq!(snapshot.instances[0].globals[0].bits.as_deref(), Some("0x00000009"));
}

#[tokio::test]
async fn code_is_found_again_by_another_process_and_broken_code_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = || WasmSandbox::open_trusting(settings(folder.path())).unwrap();
    let wasm = wat::parse_str(BROKEN).unwrap();
    let digest = digest_of(&wasm);
    assert!(open().cached(digest).await.is_none());
    let compiled = open().compile(digest, wasm.clone().into()).await.unwrap();
    assert!(compiled.facts().compiled_size > 0 && compiled.facts().size == wasm.len() as u64);
    let found = open().cached(digest).await.expect("code of an earlier process");
    assert_eq!(end_of(&found, "fine").await, ok("42"));
    let file = code_file(folder.path());
    let mut code = fs::read(&file).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    fs::write(&file, code).unwrap();
    let sandbox = open();
    assert!(sandbox.cached(digest).await.is_none(), "tampered code is not loaded");
    let again = sandbox.compile(digest, wasm.into()).await.unwrap();
    assert_eq!(end_of(&again, "fine").await, ok("42"));
    assert!(open().cached(digest).await.is_some());
}

#[tokio::test]
async fn a_component_that_somebody_holds_is_shared() {
    let one = compile_in(&sandbox(), BROKEN).await.unwrap();
    let digest = digest_of(&wat::parse_str(BROKEN).unwrap());
    let two = sandbox().cached(digest).await.unwrap();
    assert!(std::ptr::addr_eq(
        std::sync::Arc::as_ptr(&one),
        std::sync::Arc::as_ptr(&two)
    ));
}

#[tokio::test]
async fn the_child_compiles_and_refuses_as_this_process_does() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = WasmSandbox::open(settings(folder.path())).unwrap();
    let component = compile_in(&sandbox, BROKEN).await.unwrap();
    assert_eq!(end_of(&component, "fine").await, ok("42"));
    let mut broken = wat::parse_str(BROKEN).unwrap();
    broken.truncate(broken.len() - 3);
    let error = sandbox.compile(digest_of(&broken), broken.into()).await.err().unwrap();
    assert_eq!(error.code, "FB0501");
}

#[tokio::test]
async fn a_guest_runtime_without_io_gets_code_that_counts_fuel_from_the_child() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = WasmSandbox::open(settings(folder.path())).unwrap();
    let component = compile_in(&sandbox, BROKEN).await.unwrap();
    let mut trial = Trial::of(&component, "fine");
    trial.limits.fuel = Some(1_000_000);
    assert_eq!(trial.run().await.end, ok("42"));
}

#[tokio::test]
async fn a_compiler_without_memory_or_time_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let mut little = settings(folder.path());
    little.compile_memory = 1 << 20;
    let error = compile_in(&WasmSandbox::open(little).unwrap(), BROKEN)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, "FB0505", "{error}");
    let mut slow = settings(folder.path());
    slow.compiler.program = "/bin/sleep".into();
    slow.compiler.args = vec!["60".into()];
    slow.compile_time = std::time::Duration::from_millis(100);
    let error = compile_in(&WasmSandbox::open(slow).unwrap(), BROKEN)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, "FB0505", "{error}");
    assert!(error.message.contains("longer"), "{error}");
}

#[tokio::test]
async fn a_compiler_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut lost = settings(folder.path());
    lost.compiler.program = child_program().with_file_name("nowhere");
    let error = compile_in(&WasmSandbox::open(lost).unwrap(), BROKEN)
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, "FB0509");
    assert!(error.message.contains("nowhere"), "{error}");
}
