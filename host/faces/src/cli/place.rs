//! A tool's manifest, named by itself or by its folder.

use super::Failed;
use std::fs;
use std::path::{Path, PathBuf};

/// Files in TOML that are something else.
const OTHERS: [&str; 3] = ["fusebox.toml", "Cargo.toml", "pyproject.toml"];

/// The manifest that a path means: the file itself, or the one in a folder. There it is `NAME.toml` in the folder `NAME`, or else the only
/// one.
///
/// # Errors
/// A folder without a manifest, or with several.
pub(super) fn manifest(path: &Path) -> Result<PathBuf, Failed> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let unreadable = |error| Failed::file(format!("{} cannot be read: {error}", path.display()), "name a manifest");
    let folder = path.canonicalize().map_err(unreadable)?;
    if let Some(name) = folder.file_name() {
        let own = path.join(name).with_added_extension("toml");
        if own.is_file() {
            return Ok(tidy(own));
        }
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let named = |name: &&str| file.file_name().is_some_and(|own| own == *name);
        if file.extension().is_some_and(|end| end == "toml") && file.is_file() && !OTHERS.iter().any(named) {
            found.push(tidy(file));
        }
    }
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failed::file(
            format!("the folder {} has no manifest", path.display()),
            "name the folder of a tool or its manifest; `fusebox init NAME --lang python` makes one",
        )),
        several => {
            let names: Vec<_> = several.iter().map(|file| file.display().to_string()).collect();
            Err(Failed::usage(
                format!("the folder {} has several manifests", path.display()),
                format!("name one of them: {}", names.join(", ")),
            ))
        }
    }
}

/// A path without `./` before it.
fn tidy(path: PathBuf) -> PathBuf {
    path.strip_prefix(".").map(Path::to_owned).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_means_the_manifest_in_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("words");
        fs::create_dir(&folder).unwrap();
        for other in OTHERS {
            fs::write(folder.join(other), "").unwrap();
        }
        let (message, help) = manifest(&folder).unwrap_err().brief();
        assert!(
            message.contains("no manifest") && help.contains("fusebox init"),
            "{message} {help}"
        );

        fs::write(folder.join("search.toml"), "").unwrap();
        assert_eq!(manifest(&folder).unwrap(), folder.join("search.toml"));
        fs::write(folder.join("email.toml"), "").unwrap();
        let (_, help) = manifest(&folder).unwrap_err().brief();
        assert!(help.contains("email.toml") && help.contains("search.toml"), "{help}");

        fs::write(folder.join("words.toml"), "").unwrap();
        assert_eq!(manifest(&folder).unwrap(), folder.join("words.toml"));
        assert_eq!(manifest(&folder.join("email.toml")).unwrap(), folder.join("email.toml"));
    }
}
