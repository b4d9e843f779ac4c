//! The words that a component's author wrote: in its WIT source, or in the component itself.

use fusebox_core::component::ComponentShape;
use fusebox_manifest::Words;
use fusebox_manifest::diagnostic::Diagnostic;
use wasmparser::{Parser, Payload};

/// What functions and parameters are said to be; what the source leaves out is taken from the component.
pub(super) fn words(
    wit: Option<&[(String, String)]>,
    wasm: &[u8],
    shape: &ComponentShape,
    findings: &mut Vec<Diagnostic>,
) -> Words {
    let (words, problems) = wit.map_or_else(Default::default, |files| Words::from_wit(files, shape));
    findings.extend(problems);
    match package_docs(wasm) {
        Some(section) => words.or(Words::from_package_docs(section, shape)),
        None => words,
    }
}

/// The custom section `package-docs` of the outermost component, where toolchains keep comments.
fn package_docs(wasm: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.checked_sub(1)?,
            Payload::CustomSection(section) if depth == 1 && section.name() == "package-docs" => {
                return Some(section.data());
            }
            _ => {}
        }
    }
    None
}
