//! A folder that is its owner's alone, and files in it that appear whole or not at all.

use crate::fault;
use fusebox_engine::ports::entropy::{Entropy as _, OsEntropy};
use fusebox_engine::ports::sandbox::LoadError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Makes the folder, or sees that nobody else may write to it.
pub(super) fn secure(folder: &Path) -> Result<(), LoadError> {
    let shown = folder.display();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| fault::cache_folder(format!("{shown} cannot be made: {error}")))?;
    let about = fs::metadata(folder).map_err(|error| fault::cache_folder(format!("{shown}: {error}")))?;
    if about.uid() != rustix::process::geteuid().as_raw() {
        return Err(fault::cache_folder(format!(
            "{shown} belongs to another user (uid {}); whoever can write to it can run code here. Name another folder",
            about.uid()
        )));
    }
    if about.mode() & 0o022 != 0 {
        return Err(fault::cache_folder(format!(
            "others may write to {shown} (mode {:o}), and with it run code here. Run `chmod 700 {shown}`, or name another \
             folder",
            about.mode() & 0o7777
        )));
    }
    Ok(())
}

/// A regular file, whole, up to a size.
pub(super) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() > max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no file of the expected size",
        ));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file under a name of its own and then gives it its real one.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (path, mut file) = temporary(folder)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| fs::rename(&path, folder.join(name)));
    if written.is_err() {
        // What cannot be written can rarely be removed either; the first error is the one to tell.
        let _ = fs::remove_file(&path);
    }
    written
}

/// A new file, its owner's alone, that nobody can have foreseen.
pub(super) fn temporary(folder: &Path) -> io::Result<(PathBuf, File)> {
    let path = folder.join(format!(".{:032x}.new", OsEntropy.id()));
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    Ok((path, file))
}
