//! The example tools' sources: which there are, what they are written in, and whether they have changed.

use crate::folders;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// What a guest is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Built by cargo, in one workspace.
    Rust,
    /// Built by componentize-py.
    Python,
    /// Built by componentize-qjs.
    JavaScript,
}

impl Language {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
        }
    }

    /// Told by the file that names the guest's dependencies.
    fn of(folder: &Path) -> Option<Self> {
        let by_file = [
            ("Cargo.toml", Self::Rust),
            ("requirements.txt", Self::Python),
            ("package.json", Self::JavaScript),
        ];
        let found = by_file.into_iter().find(|(file, _)| folder.join(file).is_file());
        found.map(|(_, language)| language)
    }
}

/// One example tool.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Its name: that of its folder.
    pub(crate) name: String,
    /// Where its sources are.
    pub(crate) folder: PathBuf,
    /// What it is written in.
    pub(crate) language: Language,
}

impl Guest {
    /// File name of its manifest.
    pub(crate) fn manifest(&self) -> String {
        format!("{}.toml", self.name)
    }

    /// File name of its component.
    pub(crate) fn component(&self) -> String {
        format!("{}.wasm", self.name)
    }

    /// A digest of all that it is made from, the compiler and the recipe included.
    pub(crate) fn fingerprint(&self, compiler: &str) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(include_str!("compile.rs"));
        let mut parts = vec![self.folder.clone(), folders::wit()];
        if self.language == Language::Rust {
            hash.update(compiler);
            let workspace = self.folder.parent().unwrap_or(&self.folder);
            parts.extend(["Cargo.toml", "Cargo.lock", "http-client"].map(|part| workspace.join(part)));
            parts.extend(interfaces(workspace)?);
        }
        for part in parts {
            add(&mut hash, &part).with_context(|| format!("cannot read {}", part.display()))?;
        }
        Ok(hex::encode(hash.finalize()))
    }
}

/// WIT of the guests, which one in Rust may import.
fn interfaces(examples: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(examples)? {
        folders.push(entry?.path().join("wit"));
    }
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    Ok(folders)
}

/// The guests: the folders with a manifest of their own name.
pub(crate) fn discover(examples: &Path) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for entry in fs::read_dir(examples).with_context(|| format!("cannot read {}", examples.display()))? {
        let folder = entry?.path();
        let Some(name) = folder.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        if !folder.join(format!("{name}.toml")).is_file() {
            continue;
        }
        let language = Language::of(&folder).with_context(|| {
            format!(
                "{} has no Cargo.toml, requirements.txt or package.json",
                folder.display()
            )
        })?;
        guests.push(Guest { name, folder, language });
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(guests)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Adds a file, or all files of a folder in order: names, lengths and contents.
fn add(hash: &mut Sha256, path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.is_dir() {
        let mut inside = fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        inside.retain(|path| !is_leftover(path));
        inside.sort();
        hash.update(format!("{name}/{}\n", inside.len()));
        return inside.iter().try_for_each(|file| add(hash, file));
    }
    let content = fs::read(path)?;
    hash.update(format!("{name} {}\n", content.len()));
    hash.update(content);
    Ok(())
}

/// Whether a folder is one that builds leave behind.
fn is_leftover(path: &Path) -> bool {
    ["target", "node_modules", "__pycache__"]
        .iter()
        .any(|name| path.ends_with(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// An example folder with one guest in Python.
    fn example() -> (tempfile::TempDir, Guest) {
        let examples = tempfile::tempdir().unwrap();
        let folder = examples.path().join("words");
        fs::create_dir_all(folder.join("wit")).unwrap();
        fs::create_dir_all(examples.path().join("shared")).unwrap();
        for file in ["words.toml", "requirements.txt", "app.py", "wit/world.wit"] {
            fs::write(folder.join(file), file).unwrap();
        }
        let [guest] = discover(examples.path()).unwrap().try_into().unwrap();
        (examples, guest)
    }

    #[test]
    fn a_guest_is_a_folder_with_a_manifest_of_its_name() {
        let (_examples, guest) = example();
        assert_eq!((guest.name.as_str(), guest.language), ("words", Language::Python));
    }

    #[test]
    fn any_change_of_a_source_changes_the_fingerprint_and_leftovers_do_not() {
        let (_examples, guest) = example();
        let before = guest.fingerprint("rustc 1").unwrap();
        fs::create_dir(guest.folder.join("__pycache__")).unwrap();
        fs::write(guest.folder.join("__pycache__/app.pyc"), "").unwrap();
        assert_eq!(
            guest.fingerprint("rustc 2").unwrap(),
            before,
            "the Rust compiler does not build Python"
        );
        fs::rename(guest.folder.join("wit/world.wit"), guest.folder.join("wit/tool.wit")).unwrap();
        let renamed = guest.fingerprint("rustc 1").unwrap();
        assert_ne!(renamed, before);
        fs::write(guest.folder.join("app.py"), "other").unwrap();
        assert_ne!(guest.fingerprint("rustc 1").unwrap(), renamed);
    }

    #[test]
    fn the_repository_has_guests_in_three_languages() {
        let guests = discover(&folders::guest_examples()).unwrap();
        let of = |language| guests.iter().filter(|guest| guest.language == language).count();
        assert_eq!(
            (of(Language::Rust), of(Language::Python), of(Language::JavaScript)),
            (8, 1, 2)
        );
        let rust = guests.iter().find(|guest| guest.language == Language::Rust).unwrap();
        assert_ne!(
            rust.fingerprint("rustc 1").unwrap(),
            rust.fingerprint("rustc 2").unwrap()
        );
    }
}
