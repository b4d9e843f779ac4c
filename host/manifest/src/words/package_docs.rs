//! Words from a component's `package-docs` section, where toolchains that keep comments put them.

use super::Words;
use fusebox_core::component::ComponentShape;
use serde_json::{Map, Value};

impl Words {
    /// Reads the bytes of a `package-docs` section: a version byte, then JSON (`wit-parser`, `metadata.rs`). A section
    /// that cannot be read says nothing: it is a courtesy of the toolchain, and no reason to refuse a component.
    #[must_use]
    pub fn from_package_docs(section: &[u8], shape: &ComponentShape) -> Self {
        let mut words = Self::default();
        let Some((0 | 1, json)) = section.split_first() else {
            return words;
        };
        let Ok(docs) = serde_json::from_slice::<Value>(json) else {
            return words;
        };
        for world in objects(&docs, "worlds").map(|(_, world)| world) {
            words.functions_of(world, "funcs", None, shape);
            words.functions_of(world, "func_exports", None, shape);
            for (name, interface) in objects(world, "interfaces").chain(objects(world, "interface_exports")) {
                words.functions_of(interface, "funcs", Some(name), shape);
            }
        }
        for (name, interface) in objects(&docs, "interfaces") {
            words.functions_of(interface, "funcs", Some(name), shape);
        }
        words
    }

    fn functions_of(&mut self, item: &Value, key: &str, interface: Option<&str>, shape: &ComponentShape) {
        for (name, function) in objects(item, key) {
            // Version 0 has the comment itself, version 1 an object with it.
            if let Some(comment) = function.as_str().or_else(|| function.get("docs")?.as_str()) {
                self.add(shape, interface, name, comment);
            }
        }
    }
}

fn objects<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let map = value.get(key).and_then(Value::as_object);
    map.into_iter()
        .flat_map(Map::iter)
        .map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::tests::shape;

    #[test]
    fn both_versions_are_read_and_junk_says_nothing() {
        let zero = b"\x00{\"worlds\":{\"w\":{\"func_exports\":{\"query\":\"Search.\"}}}}";
        let one = b"\x01{\"interfaces\":{\"api\":{\"funcs\":{\"get\":{\"docs\":\"Get.\"}}}}}";
        assert_eq!(
            Words::from_package_docs(zero, &shape()).functions["query"]
                .description
                .as_deref(),
            Some("Search.")
        );
        assert_eq!(
            Words::from_package_docs(one, &shape()).functions["api.get"]
                .description
                .as_deref(),
            Some("Get.")
        );
        for junk in [&b""[..], b"\x01", b"\x02{}", b"\x01[1]", b"\x01{\"worlds\":3}"] {
            assert_eq!(Words::from_package_docs(junk, &shape()), Words::default());
        }
    }
}
