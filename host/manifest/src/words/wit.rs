//! Words from the WIT source beside a manifest: the comments of its functions.

use super::{Words, bare_interface, find};
use crate::codes;
use crate::diagnostic::Diagnostic;
use fusebox_core::component::ComponentShape;
use std::collections::BTreeMap;
use wit_parser::{Function, SourceMap, UnresolvedPackage, WorldItem, WorldKey};

impl Words {
    /// Reads WIT files, each with the path that findings print: those of one folder are one package, and each file right
    /// below `deps` is one. Source that describes another component is said so.
    #[must_use]
    pub fn from_wit(files: &[(String, String)], shape: &ComponentShape) -> (Self, Vec<Diagnostic>) {
        let mut words = Self::default();
        let mut findings = Vec::new();
        for map in packages(files).into_values() {
            match map.parse() {
                Ok(group) => {
                    for package in std::iter::once(&group.main).chain(&group.nested) {
                        words.package(package, shape, &mut findings);
                    }
                }
                Err((map, error)) => findings.push(
                    Diagnostic::error(
                        codes::BAD_WIT,
                        format!("the WIT source has a mistake: {}", error.render(&map)),
                    )
                    .help("mend it, or leave `wit` out of the manifest"),
                ),
            }
        }
        (words, findings)
    }

    fn package(&mut self, package: &UnresolvedPackage, shape: &ComponentShape, findings: &mut Vec<Diagnostic>) {
        let mut take = |interface: Option<&str>, function: &Function| {
            if let Some(docs) = &function.docs.contents {
                self.add(shape, interface, &function.name, docs);
            }
            findings.extend(differs(shape, interface, function));
        };
        for (_, interface) in package.interfaces.iter() {
            for function in interface.functions.values() {
                take(interface.name.as_deref(), function);
            }
        }
        for (key, item) in package.worlds.iter().flat_map(|(_, world)| &world.exports) {
            match (key, item) {
                (_, WorldItem::Function(function)) => take(None, function),
                // An interface that the world defines in place has its name from the world.
                (WorldKey::Name(name), WorldItem::Interface { id, .. }) => {
                    let interface = package.interfaces.get(*id);
                    for function in interface.into_iter().flat_map(|interface| interface.functions.values()) {
                        take(Some(name), function);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The files of each package, by the folder or the file that holds it.
fn packages(files: &[(String, String)]) -> BTreeMap<&str, SourceMap> {
    let mut packages: BTreeMap<&str, SourceMap> = BTreeMap::new();
    for (path, text) in files {
        let folder = path.rsplit_once(['/', '\\']).map_or("", |(folder, _)| folder);
        let of_its_own = folder.rsplit(['/', '\\']).next() == Some("deps");
        let package = packages.entry(if of_its_own { path } else { folder });
        package.or_default().push_str(path, text.as_str());
    }
    packages
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
    fn packages_that_it_depends_on_are_read_apart() {
        let own = "package acme:tool;\nworld tool {\n    export acme:search/api;\n}\n";
        let files = [
            ("wit/world.wit", own),
            ("wit/deps/search/a.wit", SOURCE),
            ("wit/deps/one.wit", "package acme:one;"),
            ("wit/deps/two.wit", "package acme:two;"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let (words, findings) = Words::from_wit(&files, &shape());
        assert_eq!(findings, []);
        assert_eq!(words.functions["api.get"].description.as_deref(), Some("Get a page."));
    }

    #[test]
    fn an_interface_that_the_world_defines_has_its_words_too() {
        let (words, _) = read(
            "package acme:t;\nworld w {\n  export api: interface {\n    /// Get.\n    get: func(id: string);\n  }\n}\n",
        );
        assert_eq!(words.functions["api.get"].description.as_deref(), Some("Get."));
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
