//! Looks at a built guest: is it a component that a host can run, and what does it import and export?

use anyhow::{Result, bail};
use wasmparser::{Encoding, Parser, Payload, Validator};

/// What a component shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    /// Bytes.
    pub(crate) size: usize,
    /// Names of its imports.
    pub(crate) imports: Vec<String>,
    /// Names of its exports.
    pub(crate) exports: Vec<String>,
}

/// What an example may import: WASI, the host's own interfaces, and those of other examples, which deploying compares.
const IMPORTABLE: [&str; 3] = ["wasi:", "fusebox:host/", "example:"];

/// The component, if it is valid, exports something, and imports nothing but what it may.
pub(crate) fn check(wasm: &[u8]) -> Result<Component> {
    Validator::new().validate_all(wasm)?;
    let component = outline(wasm)?;
    if component.exports.is_empty() {
        bail!("it exports nothing");
    }
    let strange: Vec<&str> = component
        .imports
        .iter()
        .map(String::as_str)
        .filter(|name| !IMPORTABLE.iter().any(|of| name.starts_with(of)))
        .collect();
    if !strange.is_empty() {
        bail!("it imports what no host provides: {}", strange.join(", "));
    }
    Ok(component)
}

/// The component as it stands, not validated.
pub(crate) fn outline(wasm: &[u8]) -> Result<Component> {
    let mut component = Component {
        size: wasm.len(),
        imports: Vec::new(),
        exports: Vec::new(),
    };
    // How deep the parser is inside of modules and components; the outermost component is at 1.
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 && encoding == Encoding::Module {
                    bail!("it is a core module, not a component");
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    component.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    component.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(component)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn checked(text: &str) -> Result<Component> {
        check(&wat::parse_str(text).unwrap())
    }

    #[test]
    fn a_component_shows_its_own_imports_and_exports_and_not_those_inside() {
        let component = checked(
            r#"(component
                (import "wasi:cli/environment@0.2.6" (instance))
                (core module (import "env" "f" (func)) (export "g" (func 0)))
                (component (import "other" (func)))
                (instance $i)
                (export "example:tool/tool@1.0.0" (instance $i)))"#,
        )
        .unwrap();
        assert_eq!(component.imports, ["wasi:cli/environment@0.2.6"]);
        assert_eq!(component.exports, ["example:tool/tool@1.0.0"]);
    }

    #[test]
    fn what_no_host_can_run_is_refused_with_the_reason() {
        for (text, reason) in [
            ("(module)", "core module"),
            ("(component)", "exports nothing"),
            (
                r#"(component (import "x:y/z@1.0.0" (instance)) (instance $i) (export "t" (instance $i)))"#,
                "x:y/z@1.0.0",
            ),
        ] {
            let error = checked(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(check(b"\0asm").is_err());
    }
}
