//! A folder with an operator's file, manifests, secrets and a running simulator, where commands are typed and shown.

mod serving;
mod simulator;

use crate::{folders, steps};
use anyhow::{Context, Result, ensure};
pub(crate) use serving::Serving;
pub(crate) use simulator::Simulator;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Ports that the example manifests name, and the services of the simulator behind them.
const PORTS: [(&str, &str); 4] = [
    ("8801", "search"),
    ("8802", "llm"),
    ("8803", "mail"),
    ("8804", "ledger"),
];

/// Keys that the services demand: secret, value, service.
const SECRETS: [(&str, &str, &str); 3] = [
    ("SEARCH_KEY", "search-secret", "search"),
    ("LLM_KEY", "llm-secret", "llm"),
    ("MAIL_KEY", "mail-secret", "mail"),
];

/// A command that ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// A place below `target/`, made afresh.
pub(crate) struct Stage {
    folder: PathBuf,
    binary: PathBuf,
    simulator: Simulator,
}

impl Stage {
    /// Sets the stage up afresh below `target/NAME`: the binaries of a profile, the operator's file with these lines
    /// besides the network, and the guests.
    pub(crate) fn open(name: &str, profile: &str, settings: &str) -> Result<Self> {
        let folder = folders::root().join("target").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        let stage = Self {
            simulator: Simulator::start(&steps::binary(profile, "fusebox-simulator"))?,
            binary: steps::binary(profile, "fusebox"),
            folder,
        };
        fs::write(
            stage.folder.join("fusebox.toml"),
            format!(
                "{settings}\n[network]\nallow = [\"127.0.0.1\"]   # the upstreams of the stage run on this machine\n"
            ),
        )?;
        let guests = folders::guests();
        for entry in fs::read_dir(&guests).with_context(|| format!("{} cannot be read", guests.display()))? {
            stage.place(&entry?.path())?;
        }
        for (name, value, service) in SECRETS {
            stage.keep_secret(name, value, service)?;
        }
        Ok(stage)
    }

    /// Copies a component, or a manifest with the ports of this simulator in it.
    fn place(&self, file: &Path) -> Result<()> {
        let name = file.file_name().context("a file has a name")?;
        let to = self.folder.join(name);
        if file.extension().is_none_or(|end| end != "toml") {
            fs::copy(file, to)?;
            return Ok(());
        }
        let mut text = fs::read_to_string(file)?;
        for (port, service) in PORTS {
            text = text.replace(port, &self.simulator.port(service)?.to_string());
        }
        fs::write(to, text)?;
        Ok(())
    }

    fn keep_secret(&self, name: &str, value: &str, service: &str) -> Result<()> {
        let host = format!("http://127.0.0.1:{}", self.simulator.port(service)?);
        let mut child = Command::new(&self.binary)
            .args(["secrets", "set", name, "--host", &host])
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        child
            .stdin
            .take()
            .context("stdin is piped")?
            .write_all(value.as_bytes())?;
        ensure!(child.wait()?.success(), "`fusebox secrets set {name}` failed");
        Ok(())
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.folder.join(name), text)?)
    }

    /// Changes a manifest, and says how.
    pub(crate) fn change(&self, manifest: &str, changes: &[(&str, &str)]) -> Result<()> {
        let mut text = fs::read_to_string(self.folder.join(manifest))?;
        for (from, to) in changes {
            ensure!(text.contains(from), "{manifest} has no `{from}`");
            text = text.replacen(from, to, 1);
            println!("  (in {manifest}: {})", to.trim().replace('\n', "; "));
        }
        self.write(manifest, &text)
    }

    /// Starts a host that serves; what it says goes to that file of the folder.
    pub(crate) fn serve(&self, arguments: &[&str], log: &str) -> Result<Serving> {
        println!("$ fusebox serve {} &", arguments.join(" "));
        Serving::start(&self.binary, &self.folder, arguments, log)
    }

    /// The binary.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The simulator.
    pub(crate) fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// Says what comes, and what to look at.
    pub(crate) fn title(&self, title: &str, look_at: &str) {
        println!("\n=== {title}\n    {look_at}\n");
    }

    /// Waits, and says so.
    pub(crate) fn wait(&self, time: Duration) {
        println!("  (waiting {:.1} s)", time.as_secs_f32());
        std::thread::sleep(time);
    }

    /// Runs a command and shows it with all that it prints.
    pub(crate) fn fusebox(&self, arguments: &[&str]) -> Result<Ran> {
        let typed: Vec<_> = arguments.iter().map(|argument| quoted(argument)).collect();
        println!("$ fusebox {}", typed.join(" "));
        let ran = self.quietly(arguments)?;
        for line in ran.stdout.lines().chain(ran.stderr.lines()) {
            println!("  {line}");
        }
        println!("  [exit code {}, {:.1} s]", ran.code, ran.took.as_secs_f32());
        Ok(ran)
    }

    /// Runs a command and shows nothing.
    pub(crate) fn quietly(&self, arguments: &[&str]) -> Result<Ran> {
        let start = Instant::now();
        let output = Command::new(&self.binary)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{} cannot be run", self.binary.display()))?;
        Ok(Ran {
            code: output.status.code().context("the command was killed")?,
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
            took: start.elapsed(),
        })
    }
}

/// An argument as a shell would take it.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@".contains(c);
    if argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}
