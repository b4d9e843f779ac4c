//! The example guests as `cargo xtask guests` builds them, and compiled code that all tests share.

use super::process::Running;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// An unoptimised compiler needs minutes for a Python guest, and waits for its turn.
const COMPILING: Duration = Duration::from_secs(600);

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}

/// The folder of compiled code.
pub(crate) fn cache() -> PathBuf {
    target().join("blackbox-cache/compiled")
}

/// A file of a built guest.
///
/// # Panics
/// When it was not built, naming the command that does.
#[track_caller]
pub(crate) fn file(name: &str) -> PathBuf {
    let path = target().join("guests").join(name);
    assert!(
        path.is_file(),
        "{} is missing: type `cargo xtask guests`",
        path.display()
    );
    path
}

/// Has a guest compiled, once for all tests: who comes first compiles, the others wait.
pub(crate) fn compile(tool: &str) {
    let folder = target().join("blackbox-cache");
    fs::create_dir_all(&folder).unwrap();
    let compiled = folder.join(format!("{tool}.compiled"));
    let wasm = file(&format!("{tool}.wasm"));
    let stamp = format!("{} {}", stamp(&wasm), stamp(Path::new(env!("CARGO_BIN_EXE_fusebox"))));
    let lock = File::create(folder.join(format!("{tool}.lock"))).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&compiled).is_ok_and(|found| found == stamp) {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_fusebox"));
    command
        .arg("try")
        .arg(&wasm)
        .env_clear()
        .env("FUSEBOX_CACHE", cache())
        .env("FUSEBOX_COMPILE_TIME", "10m")
        .env("HOME", folder.join("home"))
        .current_dir(&folder)
        .stdin(Stdio::null());
    Running::start(&mut command, COMPILING).wait().exits(0);
    fs::write(compiled, stamp).unwrap();
}

/// What changes when the file does.
fn stamp(path: &Path) -> String {
    let found = fs::metadata(path).unwrap();
    format!("{} {:?}", found.len(), found.modified().unwrap())
}
