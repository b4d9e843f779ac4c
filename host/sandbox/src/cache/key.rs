//! The key of an installation, under which its compiled code is authenticated.

use super::folder;
use crate::fault;
use fusebox_engine::ports::entropy::{Entropy as _, OsEntropy};
use fusebox_engine::ports::sandbox::LoadError;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Name of its file.
const FILE: &str = "key";
/// Its length in bytes.
const LENGTH: usize = 32;

/// A running tag.
pub(super) type Tag = Hmac<Sha256>;

/// HMAC-SHA256, keyed.
pub(super) struct Key(Tag);

impl Key {
    /// The key in that folder; made when there is none.
    pub(super) fn of(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join(FILE);
        let failed = |error: io::Error| fault::cache_folder(format!("{}: {error}", path.display()));
        if !path.try_exists().map_err(failed)? {
            make(folder, &path).map_err(failed)?;
        }
        let mode = fs::symlink_metadata(&path).map_err(failed)?.mode();
        let bytes = folder::read(&path, LENGTH as u64 + 1).map_err(failed)?;
        if mode & 0o077 != 0 || bytes.len() != LENGTH {
            return Err(fault::cache_folder(format!(
                "{} is not a key of {LENGTH} bytes that its owner alone can read (mode {:o}); remove it, and a new one is \
                 made",
                path.display(),
                mode & 0o7777
            )));
        }
        Tag::new_from_slice(&bytes).map(Self).map_err(fault::cache_folder)
    }

    /// A tag over nothing yet.
    pub(super) fn tag(&self) -> Tag {
        self.0.clone()
    }
}

/// Makes a key that appears whole; where two processes make one at once, the first wins.
fn make(folder: &Path, path: &Path) -> io::Result<()> {
    let mut key = [0; LENGTH];
    OsEntropy.fill(&mut key);
    let (temporary, mut file) = folder::temporary(folder)?;
    let linked = file
        .write_all(&key)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&temporary, path));
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}
