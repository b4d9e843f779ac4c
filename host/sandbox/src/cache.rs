//! Compiled code on disk. Loading code means running it, so a file is read whole and authenticated before it is used,
//! and the folder is one that nobody else can write to.

mod folder;
mod key;

use crate::engine::Variant;
use crate::layout::Layout;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::sandbox::LoadError;
use hmac::Mac as _;
use key::Key;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// First bytes of an entry; the number changes with the format.
const MAGIC: &[u8; 8] = b"FBXCODE1";
/// Bytes of the tag that follows them.
const TAG: usize = 32;
/// A larger file is no entry.
const MAX_ENTRY: u64 = 2 << 30;

/// The cache of one installation.
pub(crate) struct Cache {
    folder: PathBuf,
    key: Key,
}

/// One component as it is cached.
pub(crate) struct Entry {
    pub(crate) about: About,
    /// Code as the runtime loads it.
    pub(crate) code: Vec<u8>,
}

/// What is kept beside the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// Bytes of the component.
    pub(crate) size: u64,
    pub(crate) layout: Layout,
}

/// Which code: of which component, for which settings of the runtime.
#[derive(Clone, Copy)]
pub(crate) struct Which<'a> {
    pub(crate) digest: Digest,
    pub(crate) config: &'a str,
    pub(crate) variant: Variant,
}

impl Which<'_> {
    fn file_name(&self) -> String {
        let config = self.config.get(..16).unwrap_or(self.config);
        format!("{}-{config}-{}.code", hex::encode(self.digest.0), self.variant.name())
    }
}

impl Cache {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// `FB0508` when it cannot be trusted.
    pub(crate) fn open(folder: &Path) -> Result<Self, LoadError> {
        folder::secure(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            key: Key::of(folder)?,
        })
    }

    /// The entry, when it is there and authentic. A broken one is removed.
    pub(crate) fn get(&self, which: Which<'_>) -> Option<Entry> {
        let path = self.folder.join(which.file_name());
        let bytes = match folder::read(&path, MAX_ENTRY) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled code cannot be read; it is compiled again");
                return None;
            }
        };
        let entry = self.opened(bytes, which);
        if entry.is_none() {
            tracing::warn!(path = %path.display(), "compiled code is not what was written; it is compiled again");
            self.drop_entry(which);
        }
        entry
    }

    /// Keeps code for the next time; a disk that refuses costs a compilation later, and nothing else.
    pub(crate) fn put(&self, which: Which<'_>, entry: &Entry) {
        let written = self
            .sealed(entry, which)
            .and_then(|bytes| folder::write(&self.folder, &which.file_name(), &bytes));
        if let Err(error) = written {
            tracing::warn!(component = %which.digest, %error, "compiled code is not kept");
        }
    }

    /// Removes code that the runtime did not take.
    pub(crate) fn drop_entry(&self, which: Which<'_>) {
        let path = self.folder.join(which.file_name());
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "broken compiled code cannot be removed");
        }
    }

    /// The component itself, for the day when its code is needed in another variant.
    pub(crate) fn component(&self, digest: Digest) -> Option<Vec<u8>> {
        folder::read(&self.folder.join(component_name(digest)), MAX_ENTRY).ok()
    }

    /// Keeps the component itself.
    pub(crate) fn put_component(&self, digest: Digest, wasm: &[u8]) {
        if let Err(error) = folder::write(&self.folder, &component_name(digest), wasm) {
            tracing::warn!(component = %digest, %error, "the component is not kept beside its code");
        }
    }

    fn sealed(&self, entry: &Entry, which: Which<'_>) -> io::Result<Vec<u8>> {
        let about = serde_json::to_vec(&entry.about)?;
        let mut body = Vec::with_capacity(8 + about.len() + entry.code.len());
        body.extend_from_slice(&(about.len() as u64).to_le_bytes());
        body.extend_from_slice(&about);
        body.extend_from_slice(&entry.code);
        let tag = self.tag(&body, which).finalize().into_bytes();
        Ok([MAGIC.as_slice(), &tag, &body].concat())
    }

    fn opened(&self, bytes: Vec<u8>, which: Which<'_>) -> Option<Entry> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (tag, body) = rest.split_at_checked(TAG)?;
        self.tag(body, which).verify_slice(tag).ok()?;
        let (length, body) = body.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (about, code) = body.split_at_checked(length)?;
        Some(Entry {
            about: serde_json::from_slice(about).ok()?,
            code: code.to_vec(),
        })
    }

    /// Over all that decides what the code is, so that no entry stands in for another.
    fn tag(&self, body: &[u8], which: Which<'_>) -> key::Tag {
        let mut tag = self.key.tag();
        tag.update(MAGIC);
        tag.update(&which.digest.0);
        for text in [which.config, which.variant.name()] {
            tag.update(&(text.len() as u64).to_le_bytes());
            tag.update(text.as_bytes());
        }
        tag.update(body);
        tag
    }
}

fn component_name(digest: Digest) -> String {
    format!("{}.wasm", hex::encode(digest.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const WHICH: Which<'static> = Which {
        digest: Digest([1; 32]),
        config: "0123456789abcdef0123",
        variant: Variant::Plain,
    };

    fn entry() -> Entry {
        let about = About {
            size: 3,
            layout: Layout::default(),
        };
        Entry {
            about,
            code: vec![1, 2, 3],
        }
    }

    fn the_file(folder: &Path) -> PathBuf {
        folder.join(WHICH.file_name())
    }

    #[test]
    fn an_entry_comes_back_only_for_what_it_was_made_for() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        cache.put(WHICH, &entry());
        assert_eq!(cache.get(WHICH).unwrap().code, [1, 2, 3]);
        let other = Which {
            digest: Digest([2; 32]),
            ..WHICH
        };
        fs::copy(the_file(folder.path()), folder.path().join(other.file_name())).unwrap();
        assert!(cache.get(other).is_none());
        let config = Which {
            config: "0123456789abcdefOTHER",
            ..WHICH
        };
        assert_eq!(config.file_name(), WHICH.file_name());
        assert!(cache.get(config).is_none());
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused_and_the_entry_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        cache.put(WHICH, &entry());
        let whole = fs::read(the_file(folder.path())).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(the_file(folder.path()), &bytes).unwrap();
            assert!(cache.get(WHICH).is_none(), "byte {at}");
            assert!(!the_file(folder.path()).exists());
        }
        for length in 0..whole.len() {
            fs::write(the_file(folder.path()), &whole[..length]).unwrap();
            assert!(cache.get(WHICH).is_none(), "length {length}");
        }
    }

    #[test]
    fn an_entry_under_another_key_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Cache::open(one.path()).unwrap().put(WHICH, &entry());
        let cache = Cache::open(two.path()).unwrap();
        fs::copy(the_file(one.path()), the_file(two.path())).unwrap();
        assert!(cache.get(WHICH).is_none());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o770)).unwrap();
        let error = Cache::open(folder.path()).err().unwrap();
        assert_eq!(error.code, "FB0508");
        assert!(error.message.contains("chmod 700"), "{error}");
    }

    #[test]
    fn files_are_the_owners_alone_and_the_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made");
        let cache = Cache::open(&folder).unwrap();
        cache.put(WHICH, &entry());
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap();
            assert_eq!(
                file.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{:?}",
                file.file_name()
            );
        }
        assert!(Cache::open(&folder).unwrap().get(WHICH).is_some());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Cache::open(folder.path()).unwrap();
        fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Cache::open(folder.path()).is_err());
    }
}
