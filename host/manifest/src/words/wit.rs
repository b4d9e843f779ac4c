//! Words from the WIT source beside a manifest: the comments of its functions.

use super::{Words, bare_interface, find};
use crate::codes;
use crate::diagnostic::Diagnostic;
use fusebox_core::component::ComponentShape;
use wit_parser::{Function, SourceMap};

impl Words {
    /// Reads WIT files, each with the name that findings print. Source that describes another component is said so.
    #[must_use]
    pub fn from_wit(files: &[(String, String)], shape: &ComponentShape) -> (Self, Vec<Diagnostic>) {
        let mut map = SourceMap::default();
        for (name, text) in files {
            map.push_str(name, text.as_str());
        }
        let group = match map.parse() {
            Ok(group) => group,
            Err((map, error)) => {
                let finding = Diagnostic::error(
                    codes::BAD_WIT,
                    format!("the WIT source has a mistake: {}", error.render(&map)),
                )
                .help("mend it, or leave `wit` out of the manifest");
                return (Self::default(), vec![finding]);
            }
        };
        let mut words = Self::default();
        let mut findings = Vec::new();
        let mut take = |interface: Option<&str>, function: &Function| {
            if let Some(docs) = &function.docs.contents {
                words.add(shape, interface, &function.name, docs);
            }
            findings.extend(differs(shape, interface, function));
        };
        for package in std::iter::once(&group.main).chain(&group.nested) {
            for (_, interface) in package.interfaces.iter() {
                for function in interface.functions.values() {
                    take(interface.name.as_deref(), function);
                }
            }
            for (_, world) in package.worlds.iter() {
                for (key, item) in &world.exports {
                    match (key, item) {
                        (_, wit_parser::WorldItem::Function(function)) => take(None, function),
                        // An interface that the world defines in place has its name from the world.
                        (wit_parser::WorldKey::Name(name), wit_parser::WorldItem::Interface { id, .. }) => {
                            for function in package
                                .interfaces
                                .get(*id)
                                .into_iter()
                                .flat_map(|i| i.functions.values())
                            {
                                take(Some(name), function);
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        (words, findings)
    }
}

/// A function that has other parameters in the source than in the component: the source is of another version.
fn differs(shape: &ComponentShape, interface: Option<&str>, function: &Function) -> Option<Diagnostic> {
    let built = find(shape, interface, &function.name)?;
    let same = built.params.len() == function.params.len()
        && built
            .params
            .iter()
            .zip(&function.params)
            .all(|((name, _), param)| *name == param.name);
    if same {
        return None;
    }
    let source: Vec<_> = function.params.iter().map(|param| param.name.as_str()).collect();
    let component: Vec<_> = built.params.iter().map(|(name, _)| name.as_str()).collect();
    let place = built
        .interface
        .as_deref()
        .map_or_else(String::new, |i| format!("`{}` of ", bare_interface(i)));
    Some(
        Diagnostic::warning(
            codes::BAD_WIT,
            format!(
                "{place}`{}` has the parameters ({}) in the WIT source and ({}) in the component",
                function.name,
                source.join(", "),
                component.join(", ")
            ),
        )
        .help("build the component from this source, or leave `wit` out of the manifest"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::component::tests::shape;

    const SOURCE: &str = "package acme:search;
interface api {
    /// Get a page.
    get: func(id: string) -> string;
}
world search {
    export api;
    /// Search the web.
    ///
    /// - `text`: what to look for
    /// - `limit`: number of hits
    /// - `other`: not a parameter
    export query: func(text: string, limit: option<u32>) -> result<list<string>, string>;
}";

    fn read(text: &str) -> (Words, Vec<Diagnostic>) {
        Words::from_wit(&[("wit/world.wit".to_owned(), text.to_owned())], &shape())
    }

    #[test]
    fn comments_describe_functions_and_parameters() {
        let (words, findings) = read(SOURCE);
        assert_eq!(findings, []);
        let query = &words.functions["query"];
        assert_eq!(
            query.description.as_deref(),
            Some("Search the web.\n\n- `other`: not a parameter")
        );
        assert_eq!(query.params["text"], "what to look for");
        assert_eq!(query.params.len(), 2);
        assert_eq!(words.functions["api.get"].description.as_deref(), Some("Get a page."));
    }

    #[test]
    fn source_of_another_version_is_told_apart() {
        let (_, findings) = read(&SOURCE.replace("limit: option<u32>", "max: option<u32>"));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("(text, max)") && findings[0].message.contains("(text, limit)"));
    }

    #[test]
    fn broken_source_names_its_place() {
        let (words, findings) = read("package acme:search;\ninterface {");
        assert_eq!(words, Words::default());
        assert!(
            findings[0].is_error() && findings[0].message.contains("world.wit:2"),
            "{findings:?}"
        );
    }
}
