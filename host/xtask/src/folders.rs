//! Where things are: the workspace's folders, and the cache of what is downloaded.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The folder for downloaded compilers of one kind; made if need be.
pub(crate) fn cache(kind: &str) -> Result<PathBuf> {
    let cache = from_environment("XDG_CACHE_HOME", ".cache")?.join("fusebox").join(kind);
    fs::create_dir_all(&cache).with_context(|| format!("cannot make the cache folder {}", cache.display()))?;
    Ok(cache)
}

/// Cargo's own folder.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    from_environment("CARGO_HOME", ".cargo")
}

/// The folder that a variable names, or else one in the home folder.
fn from_environment(variable: &str, in_home: &str) -> Result<PathBuf> {
    match std::env::var_os(variable).filter(|folder| !folder.is_empty()) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Ok(std::env::home_dir()
            .context("there is no home folder; set HOME")?
            .join(in_home)),
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where the sources of the guests are.
pub(crate) fn guest_examples() -> PathBuf {
    root().join("guest-examples")
}

/// Where the WIT packages of the host are.
pub(crate) fn wit() -> PathBuf {
    root().join("wit")
}

/// Where built guests are put beside their manifests: always below the workspace, so that docs can name it.
pub(crate) fn guests() -> PathBuf {
    root().join("target").join("guests")
}

/// Where guests are built, and what is remembered of it.
pub(crate) fn guests_build() -> PathBuf {
    root().join("target").join("guests-build")
}

/// Holds a folder against other runs of this program until it is dropped; waits for its turn.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Makes a cache entry once, whoever asks and however often: `fill` works in a temporary folder, which gets its name when it is whole.
pub(crate) fn cached(cache: &Path, key: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let entry = cache.join(key);
    let _turn = lock(cache)?;
    if entry.is_dir() {
        return Ok(entry);
    }
    let work = tempfile::Builder::new()
        .prefix(&format!("{key}."))
        .tempdir_in(cache)
        .with_context(|| format!("cannot write to {}", cache.display()))?;
    fill(work.path())?;
    fs::rename(work.path(), &entry).with_context(|| format!("cannot make {}", entry.display()))?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_cache_entry_is_made_once_and_only_whole() {
        let cache = tempfile::tempdir().unwrap();
        let failed = cached(cache.path(), "key", |work| {
            fs::write(work.join("half"), "")?;
            bail!("interrupted")
        });
        assert!(failed.is_err());
        assert!(!cache.path().join("key").exists());

        let entry = cached(cache.path(), "key", |work| Ok(fs::write(work.join("whole"), "")?)).unwrap();
        assert!(entry.join("whole").is_file());
        assert!(!entry.join("half").exists());
        assert_eq!(cached(cache.path(), "key", |_| bail!("made twice")).unwrap(), entry);
        let left: Vec<_> = fs::read_dir(cache.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "the entry and the lock: {left:?}");
    }
}
