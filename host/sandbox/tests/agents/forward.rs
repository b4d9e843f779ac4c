//! Guests made from WIT alone: one that hands on every call of what it exports to the import of the same name, and one that returns what it
//! gets.

use std::fmt::Write as _;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmSignature, WasmType};
use wit_parser::{Function, Resolve, WorldId, WorldItem};

/// Where results are put.
const RESULT: u32 = 1024;

/// A guest whose world imports and exports these interfaces: each exported function calls the imported one.
pub(crate) fn forwarder(package: &str, interfaces: &[&str]) -> Vec<u8> {
    let world: String = interfaces
        .iter()
        .map(|name| format!("import {name}; export {name};"))
        .collect();
    let (resolve, world) = parsed(package, &world);
    let mut imports = String::new();
    let mut functions = String::new();
    for (n, (interface, function)) in exported(&resolve, world).into_iter().enumerate() {
        let inner = resolve.wasm_signature(AbiVariant::GuestImport, &function);
        let outer = resolve.wasm_signature(AbiVariant::GuestExport, &function);
        let name = &function.name;
        let _ = writeln!(
            imports,
            r#"(import "{interface}" "{name}" (func $i{n} {}))"#,
            types(&inner)
        );
        let _ = writeln!(functions, r#"(func (export "{interface}#{name}") {}"#, types(&outer));
        for param in 0..outer.params.len() {
            let _ = writeln!(functions, "(local.get {param})");
        }
        // Results that are put somewhere are read from there again.
        let put = if inner.retptr {
            format!("(i32.const {RESULT})")
        } else {
            String::new()
        };
        let _ = writeln!(functions, "{put} (call $i{n}) {put})");
    }
    component(&resolve, world, &format!("(module {imports} {MEMORY} {functions})"))
}

/// A guest that exports the interface, whose functions each take one list: it is returned, as it is, as `ok`, or, where the function is called
/// `fail…`, as `err`. One that is called `trap…` traps, with a mark in its memory.
pub(crate) fn mirror(package: &str, interface: &str) -> Vec<u8> {
    let (resolve, world) = parsed(package, &format!("export {interface};"));
    let mut functions = String::new();
    for (interface, function) in exported(&resolve, world) {
        let name = &function.name;
        let signature = types(&resolve.wasm_signature(AbiVariant::GuestExport, &function));
        let _ = writeln!(functions, r#"(func (export "{interface}#{name}") {signature}"#);
        let tagged = matches!(&function.result, Some(ty) if is_result(&resolve, ty));
        let payload = if tagged { RESULT + 4 } else { RESULT };
        let _ = if name.starts_with("trap") {
            writeln!(functions, "(i32.store (i32.const 64) (i32.const 42)) unreachable)")
        } else {
            writeln!(
                functions,
                "(i32.store8 (i32.const {RESULT}) (i32.const {})) (i32.store (i32.const {payload}) (local.get 0))
                 (i32.store (i32.const {}) (local.get 1)) (i32.const {RESULT}))",
                u8::from(name.starts_with("fail")),
                payload + 4
            )
        };
    }
    component(&resolve, world, &format!("(module {MEMORY} {functions})"))
}

/// Memory that is handed out and never taken back.
const MEMORY: &str = r#"
  (memory (export "memory") 4)
  (global $next (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))"#;

fn parsed(package: &str, world: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    resolve.push_str("package.wit", package).unwrap();
    let test = format!("package test:guest; world guest {{ {world} }}");
    let test = resolve.push_str("guest.wit", &test).unwrap();
    let world = resolve.select_world(&[test], Some("guest")).unwrap();
    (resolve, world)
}

fn exported(resolve: &Resolve, world: WorldId) -> Vec<(String, Function)> {
    let mut found = Vec::new();
    for item in resolve.worlds[world].exports.values() {
        if let WorldItem::Interface { id, .. } = item {
            let name = resolve.id_of(*id).unwrap();
            let functions = resolve.interfaces[*id].functions.values();
            found.extend(functions.map(|function| (name.clone(), function.clone())));
        }
    }
    found
}

fn is_result(resolve: &Resolve, ty: &wit_parser::Type) -> bool {
    let wit_parser::Type::Id(id) = ty else { return false };
    matches!(resolve.types[*id].kind, wit_parser::TypeDefKind::Result(_))
}

fn types(signature: &WasmSignature) -> String {
    let list = |kind: &str, types: &[WasmType]| -> String {
        let types = types.iter().map(|ty| match ty {
            WasmType::I64 | WasmType::PointerOrI64 => " i64",
            WasmType::F32 => " f32",
            WasmType::F64 => " f64",
            WasmType::I32 | WasmType::Pointer | WasmType::Length => " i32",
        });
        format!("({kind}{})", types.collect::<String>())
    };
    format!(
        "{} {}",
        list("param", &signature.params),
        list("result", &signature.results)
    )
}

fn component(resolve: &Resolve, world: WorldId, module: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.validate(true).encode().unwrap()
}
