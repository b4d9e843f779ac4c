//! The fenced blocks of a document that tests run: each follows a comment `<!-- test: NAME -->`.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// Blocks by their names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Blocks(BTreeMap<String, String>);

impl Blocks {
    /// The marked blocks of a document.
    ///
    /// # Errors
    /// A mark without a block, a block without an end, or a name that is used twice.
    pub(crate) fn of(text: &str) -> Result<Self> {
        let mut blocks = BTreeMap::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let name = line
                .strip_prefix("<!-- test: ")
                .and_then(|line| line.strip_suffix(" -->"));
            let Some(name) = name else { continue };
            if !lines.next().is_some_and(|line| line.starts_with("```")) {
                bail!("the mark `{name}` has no block below it");
            }
            let mut block = String::new();
            loop {
                match lines.next() {
                    Some("```") => break,
                    Some(line) => block.extend([line, "\n"]),
                    None => bail!("the block `{name}` has no end"),
                }
            }
            if blocks.insert(name.to_owned(), block).is_some() {
                bail!("there are two blocks `{name}`");
            }
        }
        Ok(Self(blocks))
    }

    /// The block of that name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn get(&self, name: &str) -> Result<&str> {
        let block = self.0.get(name).map(String::as_str);
        block.with_context(|| format!("there is no block marked `<!-- test: {name} -->`"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_marked_block_is_found_by_its_name_and_others_are_not() {
        let blocks = Blocks::of("a\n```\nnot this\n```\n<!-- test: it -->\n```sh\none\n\ntwo\n```\nend\n").unwrap();
        assert_eq!(blocks.get("it").unwrap(), "one\n\ntwo\n");
        assert!(blocks.get("other").is_err());
    }

    #[test]
    fn a_mark_that_marks_nothing_is_a_mistake() {
        for text in [
            "<!-- test: it -->\ntext\n",
            "<!-- test: it -->",
            "<!-- test: it -->\n```\nopen\n",
            "<!-- test: it -->\n```\n```\n<!-- test: it -->\n```\n```\n",
        ] {
            assert!(Blocks::of(text).is_err(), "{text:?}");
        }
    }
}
