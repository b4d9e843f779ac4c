//! Secrets: a file for the owner alone, environment variables and commands that the operator's file names.

use fusebox_core::policy::Origin;
use fusebox_engine::ports::secrets::{SecretError, Secrets};
use fusebox_faces::cli::{Failed, SecretEntry, SecretKeeper};
use fusebox_manifest::units;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, PoisonError, RwLock};

/// Where the values of secrets come from.
pub(crate) enum Source {
    /// The file that `fusebox secrets set` writes.
    File,
    /// Variables `FUSEBOX_SECRET_NAME`, by NAME, read when the process started.
    Environment(BTreeMap<String, String>),
    /// A command that prints the value; run at a secret's first use, its answer kept in memory. `{name}` stands for the name.
    Command(Vec<String>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    hosts: Vec<String>,
    value: String,
}

impl Kept {
    fn origins(&self) -> impl Iterator<Item = Origin> + '_ {
        self.hosts.iter().filter_map(|host| units::origin(host).ok())
    }
}

type Entries = BTreeMap<String, Kept>;

/// What the file held when it was read, and how it looked from outside then.
#[derive(Default)]
struct Read {
    stamp: Option<(i64, i64, u64)>,
    entries: Arc<Entries>,
}

/// All secrets of one host.
pub(crate) struct KeptSecrets {
    path: PathBuf,
    source: Source,
    /// Hosts that the operator's file names, besides those of the file of secrets.
    hosts: BTreeMap<String, Vec<Origin>>,
    read: RwLock<Read>,
    commands: RwLock<BTreeMap<String, String>>,
}

impl KeptSecrets {
    /// Secrets of that source; the file at `path` need not exist yet.
    pub(crate) fn new(path: PathBuf, source: Source, hosts: BTreeMap<String, Vec<Origin>>) -> Self {
        Self {
            path,
            source,
            hosts,
            read: RwLock::default(),
            commands: RwLock::default(),
        }
    }

    /// The file's entries; read again only when the file has changed.
    fn entries(&self) -> io::Result<Arc<Entries>> {
        let stamp = match fs::metadata(&self.path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                return Err(io::Error::other(format!(
                    "others may read it; type `chmod 600 {}`",
                    self.path.display()
                )));
            }
            Ok(found) => Some((found.mtime(), found.mtime_nsec(), found.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        if read.stamp == stamp {
            return Ok(Arc::clone(&read.entries));
        }
        drop(read);
        let entries = match stamp {
            // The parser's message would quote the file.
            Some(_) => toml::from_str(&fs::read_to_string(&self.path)?)
                .map_err(|_| io::Error::other("it is not what `fusebox secrets set` writes"))?,
            None => Entries::new(),
        };
        let entries = Arc::new(entries);
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Read {
            stamp,
            entries: Arc::clone(&entries),
        };
        Ok(entries)
    }

    /// Changes the file under a lock: a crash leaves the old file or the new one, and two writers follow each other.
    fn change<T>(&self, how: impl FnOnce(&mut Entries) -> T) -> io::Result<T> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let private = |path: &Path| {
            File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)
        };
        let lock = private(&self.path.with_extension("lock"))?;
        lock.lock()?;
        let mut entries = Entries::clone(&*self.entries()?);
        let answer = how(&mut entries);
        let next = self.path.with_extension("new");
        if next.exists() {
            fs::remove_file(&next)?;
        }
        let mut file = private(&next)?;
        file.write_all(toml::to_string_pretty(&entries).map_err(io::Error::other)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        File::open(folder)?.sync_all()?;
        Ok(answer)
    }

    fn failed(&self, error: &io::Error) -> Failed {
        Failed::file(
            format!("{}: {error}", self.path.display()),
            "the file of secrets, and its folder, have to belong to you, and to you alone",
        )
    }

    /// The file is written only where values are read from it.
    fn of_file(&self) -> Result<(), Failed> {
        if matches!(self.source, Source::File) {
            return Ok(());
        }
        Err(Failed::usage(
            "secrets do not come from a file here, but from the `secrets.source` of the operator's file",
            "set the value there, or take `secrets.source` out of the file",
        ))
    }

    /// The hosts that secrets of the file were set for.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn granted(&self) -> Result<Vec<(String, Origin)>, Failed> {
        if !matches!(self.source, Source::File) {
            return Ok(Vec::new());
        }
        let entries = self.entries().map_err(|error| self.failed(&error))?;
        let grants = entries
            .iter()
            .flat_map(|(name, kept)| kept.origins().map(|origin| (name.clone(), origin)));
        Ok(grants.collect())
    }

    /// The value of a secret that the host itself uses, and sends nowhere.
    ///
    /// # Errors
    /// That there is none, or that it cannot be read.
    pub(crate) fn own(&self, name: &str) -> Result<String, String> {
        match &self.source {
            Source::File => {
                let entries = self
                    .entries()
                    .map_err(|error| format!("{}: {error}", self.path.display()))?;
                let kept = entries
                    .get(name)
                    .ok_or_else(|| format!("it is not in {}", self.path.display()))?;
                Ok(kept.value.clone())
            }
            Source::Environment(values) => values
                .get(name)
                .cloned()
                .ok_or_else(|| format!("the variable FUSEBOX_SECRET_{name} is not set")),
            Source::Command(argv) => self.of_command(name, argv),
        }
    }

    fn of_command(&self, name: &str, argv: &[String]) -> Result<String, String> {
        let known = self.commands.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(name) {
            return Ok(value.clone());
        }
        drop(known);
        let argv: Vec<_> = argv.iter().map(|word| word.replace("{name}", name)).collect();
        let (program, rest) = argv.split_first().ok_or("its command is empty")?;
        let output = Command::new(program)
            .args(rest)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(|error| format!("`{program}`: {error}"))?;
        if !output.status.success() {
            return Err(format!("`{program}` ended with {}", output.status));
        }
        let text = String::from_utf8(output.stdout).map_err(|_| format!("`{program}` printed no text"))?;
        let value = text.lines().next().unwrap_or("").to_owned();
        if value.is_empty() {
            return Err(format!("`{program}` printed nothing"));
        }
        let mut known = self.commands.write().unwrap_or_else(PoisonError::into_inner);
        Ok(known.entry(name.to_owned()).or_insert(value).clone())
    }
}

impl Secrets for KeptSecrets {
    fn reveal(&self, name: &str, origin: &Origin) -> Result<String, SecretError> {
        let unreadable = |reason: String| SecretError::Unreadable {
            name: name.to_owned(),
            reason,
        };
        let wrong = || SecretError::WrongHost {
            name: name.to_owned(),
            host: units::show_origin(origin),
        };
        let missing = || SecretError::Missing {
            name: name.to_owned(),
            host: units::show_origin(origin),
        };
        let kept;
        let mut permitted = self.hosts.get(name).is_some_and(|hosts| hosts.contains(origin));
        let value = match &self.source {
            Source::File => {
                kept = self
                    .entries()
                    .map_err(|error| unreadable(format!("{}: {error}", self.path.display())))?;
                let entry = kept.get(name).ok_or_else(missing)?;
                permitted |= entry.origins().any(|host| host == *origin);
                entry.value.clone()
            }
            // A host that was not named must not even learn whether the secret exists.
            _ if !permitted => return Err(wrong()),
            Source::Environment(values) => values
                .get(name)
                .cloned()
                .ok_or_else(|| unreadable(format!("the variable FUSEBOX_SECRET_{name} is not set")))?,
            Source::Command(argv) => self.of_command(name, argv).map_err(unreadable)?,
        };
        if permitted { Ok(value) } else { Err(wrong()) }
    }
}

impl SecretKeeper for KeptSecrets {
    fn list(&self) -> Result<Vec<SecretEntry>, Failed> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let source = match &self.source {
            Source::File => {
                for (name, kept) in self.entries().map_err(|error| self.failed(&error))?.iter() {
                    all.insert(name.clone(), kept.hosts.clone());
                }
                "file"
            }
            Source::Environment(_) => "environment",
            Source::Command(_) => "command",
        };
        for (name, hosts) in &self.hosts {
            let known = all.entry(name.clone()).or_default();
            known.extend(hosts.iter().map(units::show_origin));
            // The operator's settings hold the grants of the file too.
            known.sort();
            known.dedup();
        }
        let entry = |(name, hosts)| SecretEntry {
            name,
            hosts,
            source: source.to_owned(),
        };
        Ok(all.into_iter().map(entry).collect())
    }

    fn set(&self, name: &str, hosts: &[String], only: bool, value: &str) -> Result<Vec<String>, Failed> {
        let name = units::secret_name(name).map_err(|problem| Failed::usage(problem.message, problem.help))?;
        self.of_file()?;
        let origins = hosts
            .iter()
            .map(|host| units::origin(host).map(|origin| units::show_origin(&origin)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|problem| Failed::usage(problem.message, problem.help))?;
        if let Some(odd) = value.chars().find(|c| !c.is_ascii_graphic() && *c != ' ') {
            return Err(Failed::usage(
                format!("the value contains {odd:?}, which no header can carry"),
                "encode it first, for example in base64",
            ));
        }
        self.change(|entries| {
            let before = entries
                .remove(&name)
                .filter(|_| !only)
                .map_or_else(Vec::new, |kept| kept.hosts);
            let mut hosts = before;
            hosts.extend(origins);
            hosts.sort();
            hosts.dedup();
            let value = value.to_owned();
            entries.insert(
                name,
                Kept {
                    hosts: hosts.clone(),
                    value,
                },
            );
            hosts
        })
        .map_err(|error| self.failed(&error))
    }

    fn remove(&self, name: &str) -> Result<bool, Failed> {
        self.of_file()?;
        self.change(|entries| entries.remove(name).is_some())
            .map_err(|error| self.failed(&error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kept(folder: &Path) -> KeptSecrets {
        KeptSecrets::new(folder.join("secrets.toml"), Source::File, BTreeMap::new())
    }

    fn origin(text: &str) -> Origin {
        units::origin(text).unwrap()
    }

    #[test]
    fn a_secret_goes_to_its_hosts_alone() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = kept(folder.path());
        secrets
            .set("KEY", &["api.example".to_owned()], false, "s3cret")
            .unwrap();
        assert_eq!(secrets.reveal("KEY", &origin("api.example")).unwrap(), "s3cret");
        for other in [
            "evil.example",
            "http://api.example",
            "https://api.example:8443",
            "a.api.example",
        ] {
            let error = secrets.reveal("KEY", &origin(other)).unwrap_err();
            assert!(matches!(error, SecretError::WrongHost { .. }), "{other}");
            assert!(!error.to_string().contains("s3cret"));
        }
        assert!(matches!(
            secrets.reveal("OTHER", &origin("api.example")),
            Err(SecretError::Missing { .. })
        ));
    }

    #[test]
    fn hosts_are_added_unless_only_these_are_meant() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = kept(folder.path());
        let set = |host: &str, only| secrets.set("KEY", &[host.to_owned()], only, "s3cret").unwrap();
        assert_eq!(set("a.example", false), ["a.example"]);
        assert_eq!(set("b.example", false), ["a.example", "b.example"]);
        assert_eq!(set("c.example", true), ["c.example"]);
        assert!(secrets.reveal("KEY", &origin("a.example")).is_err());
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.toml");
        let secrets = kept(folder.path());
        secrets
            .set("KEY", &["api.example".to_owned()], false, "s3cret")
            .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = secrets.reveal("KEY", &origin("api.example")).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn another_process_sees_what_was_set_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (kept(folder.path()), kept(folder.path()));
        assert!(two.list().unwrap().is_empty());
        one.set("KEY", &["api.example".to_owned()], false, "s3cret").unwrap();
        assert_eq!(two.list().unwrap().len(), 1);
        assert!(two.remove("KEY").unwrap());
        assert!(!two.remove("KEY").unwrap());
        assert!(one.list().unwrap().is_empty());
    }

    #[test]
    fn commands_and_variables_of_the_operators_file() {
        let hosts = || {
            BTreeMap::from([
                ("A".to_owned(), vec![origin("api.example")]),
                ("C".to_owned(), vec![origin("api.example")]),
            ])
        };
        let of = |source| KeptSecrets::new(PathBuf::from("/nowhere/secrets.toml"), source, hosts());
        let argv = |text: &str| text.split(' ').map(str::to_owned).collect();
        let api = origin("api.example");

        let variables = of(Source::Environment(BTreeMap::from([(
            "A".to_owned(),
            "from-env".to_owned(),
        )])));
        assert_eq!(variables.reveal("A", &api).unwrap(), "from-env");
        assert!(matches!(
            variables.reveal("C", &api),
            Err(SecretError::Unreadable { .. })
        ));
        assert!(matches!(
            variables.reveal("A", &origin("evil.example")),
            Err(SecretError::WrongHost { .. })
        ));
        assert!(variables.set("A", &["api.example".to_owned()], false, "x").is_err());

        let command = of(Source::Command(argv("echo value-of-{name}")));
        assert_eq!(command.reveal("A", &api).unwrap(), "value-of-A");
        assert!(matches!(command.reveal("B", &api), Err(SecretError::WrongHost { .. })));
        let broken = of(Source::Command(argv("false")));
        assert!(matches!(broken.reveal("A", &api), Err(SecretError::Unreadable { .. })));
    }
}
