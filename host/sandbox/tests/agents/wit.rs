//! The published WIT package is whole, documented, and changes only together with its version.

use sha2::{Digest as _, Sha256};
use std::path::Path;
use wit_component::WitPrinter;
use wit_parser::{Docs, PackageId, Resolve, TypeDefKind};

/// Version of the package and SHA-256 of its surface. A change of the surface is another version (wit/README.md): change both here, add what
/// changed to CHANGELOG.md, and where the track is another one go on serving the one before.
const PUBLISHED: (&str, &str) = (
    "0.1.0",
    "d1685b8cbce0c7f387094dd4fd8febd444238d66b7f27e7122691ab1d6a9b8e8",
);

fn package() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(folder).unwrap();
    (resolve, package)
}

/// The package as text, without what is no part of its surface: documentation and spaces.
fn surface(resolve: &Resolve, package: PackageId) -> String {
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(resolve, package, &[]).unwrap();
    printer.output.to_string()
}

#[test]
fn the_surface_is_the_published_one() {
    let (resolve, package) = package();
    let text = surface(&resolve, package);
    let words: Vec<_> = text.split_whitespace().collect();
    let digest = hex(&Sha256::digest(words.join(" ")));
    let version = resolve.packages[package].name.version.as_ref().unwrap().to_string();
    assert_eq!(
        (version.as_str(), digest.as_str()),
        PUBLISHED,
        "the surface is now:\n{text}"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_item_is_documented() {
    let (resolve, package) = package();
    let package = &resolve.packages[package];
    let mut silent = Vec::new();
    let mut look = |docs: &Docs, what: String| {
        if docs.contents.as_deref().is_none_or(|text| text.trim().is_empty()) {
            silent.push(what);
        }
    };
    look(&package.docs, package.name.to_string());
    for (name, world) in &package.worlds {
        look(&resolve.worlds[*world].docs, format!("world {name}"));
    }
    for (interface, id) in &package.interfaces {
        let id = &resolve.interfaces[*id];
        look(&id.docs, interface.clone());
        for (name, function) in &id.functions {
            look(&function.docs, format!("{interface}.{name}"));
        }
        for (name, id) in &id.types {
            let ty = &resolve.types[*id];
            look(&ty.docs, format!("{interface}.{name}"));
            let parts: Vec<_> = match &ty.kind {
                TypeDefKind::Record(record) => record.fields.iter().map(|field| (&field.name, &field.docs)).collect(),
                TypeDefKind::Variant(variant) => variant.cases.iter().map(|case| (&case.name, &case.docs)).collect(),
                TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| (&case.name, &case.docs)).collect(),
                other => panic!(
                    "{interface}.{name} is a {}: what of it wants documentation?",
                    other.as_str()
                ),
            };
            for (part, docs) in parts {
                look(docs, format!("{interface}.{name}.{part}"));
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
    assert_eq!(package.interfaces.len(), 5);
}

#[test]
fn the_worlds_import_what_they_promise() {
    let (resolve, package) = package();
    let imports = |world: &str| -> Vec<String> {
        let world = resolve.packages[package].worlds[world];
        let imports = &resolve.worlds[world].imports;
        let mut names: Vec<_> = imports.keys().map(|key| resolve.name_world_key(key)).collect();
        names.sort();
        names
    };
    let named =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("fusebox:host/{name}@0.1.0")).collect() };
    assert_eq!(imports("tool"), named(&["context", "log", "state"]));
    assert_eq!(
        imports("agent"),
        named(&["approval", "context", "log", "state", "tools"])
    );
}
