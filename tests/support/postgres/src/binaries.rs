//! Where the server's programs are, and as whom they run.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of `initdb`, `pg_ctl` and `postgres`.
///
/// # Panics
/// When there is none: a test that needs a server does not pass without one.
pub(crate) fn folder() -> PathBuf {
    let asked = Command::new("pg_config").arg("--bindir").output().ok();
    let asked = asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort_by_key(|folder| std::cmp::Reverse(number(folder)));
    let mut folders = std::env::split_paths(&path).chain(asked).chain(versions);
    folders
        .find(|folder| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file()))
        .unwrap_or_else(|| {
            panic!(
                "no PostgreSQL server is installed: neither PATH, `pg_config --bindir` nor /usr/lib/postgresql/*/bin has `initdb`, `pg_ctl` and \
                 `postgres`. Install one with `apt-get install postgresql`, or what your system calls it"
            )
        })
}

/// The program of PgBouncer.
///
/// # Panics
/// When there is none.
pub(crate) fn pgbouncer() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Not every user has the folder of administrators in the path.
    let mut folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .find_map(|folder| Some(folder.join("pgbouncer")).filter(|program| program.is_file()))
        .unwrap_or_else(|| {
            panic!(
                "PgBouncer is not installed. Install it with `apt-get install pgbouncer`, or what your system calls it"
            )
        })
}

/// The version of a folder like `/usr/lib/postgresql/15/bin`.
fn number(folder: &Path) -> Option<u32> {
    folder.parent()?.file_name()?.to_str()?.parse().ok()
}

/// As whom the server runs: it refuses root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User(Option<(u32, u32)>);

impl User {
    /// This user, or where that is root, `postgres`, or else `nobody`.
    pub(crate) fn new() -> Self {
        let own = std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own));
        if own.unwrap() != 0 {
            return Self(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let id = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        Self(Some(id("postgres").or_else(|| id("nobody")).unwrap()))
    }

    /// Its number, where it is not this process's user.
    pub(crate) fn number(self) -> String {
        self.0.map_or_else(String::new, |(user, _)| user.to_string())
    }

    /// Gives it a file or folder.
    pub(crate) fn own(self, path: &Path) {
        if let Some((user, group)) = self.0 {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// Has a program run as that user.
    pub(crate) fn runs(self, command: &mut Command) {
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
    }

    /// Runs a program as that user and gives what it says should it fail.
    pub(crate) fn run(self, command: &mut Command) -> Result<(), String> {
        self.runs(command);
        let log = tempfile_for_output();
        command.stdin(Stdio::null()).current_dir("/");
        // Not a pipe: the server would hold it open, and the wait for its end would be one for the server's.
        command
            .stdout(log.try_clone().unwrap())
            .stderr(log.try_clone().unwrap());
        let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{command:?}: {status}: {}", read_back(log)))
    }
}

fn tempfile_for_output() -> std::fs::File {
    let name = format!(
        "fusebox-postgres-output-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    );
    let path = std::env::temp_dir().join(name);
    let file = std::fs::File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn read_back(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
