//! A host that serves, as a process of its own.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// An unoptimised host on a busy machine opens its port after seconds.
const OPENING: Duration = Duration::from_secs(60);

/// What a host says before the address that it listens on.
const LISTENING: &str = "listening on ";

/// A host that serves; it is asked to end with this value.
pub(crate) struct Serving {
    process: Child,
    log: PathBuf,
    /// How long the log was when it started.
    before: u64,
}

impl Serving {
    /// Starts `fusebox serve`; what it says goes to that file in its folder.
    pub(crate) fn start(binary: &Path, folder: &Path, arguments: &[&str], log: &str) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("serve").args(arguments).current_dir(folder);
        Self::begin(&mut command, folder.join(log))
    }

    /// Starts a command that serves; what it says goes to that file.
    pub(crate) fn begin(command: &mut Command, log: PathBuf) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("{} cannot be written", log.display()))?;
        let before = file.metadata()?.len();
        let process = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().to_string_lossy()))?;
        Ok(Self { process, log, before })
    }

    /// The address that it listens on, as soon as it says so: `http://127.0.0.1:PORT`.
    pub(crate) fn url(&mut self) -> Result<String> {
        let start = Instant::now();
        while start.elapsed() < OPENING {
            let said = self.said()?;
            if let Some((_, after)) = said.split_once(LISTENING)
                && let Some((url, _)) = after.split_once(char::is_whitespace)
            {
                return Ok(url.to_owned());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the host ended with {status}:\n{said}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the host does not say where it listens:\n{}", self.said()?)
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> Result<String> {
        let mut said = String::new();
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.before))?;
        file.read_to_string(&mut said)
            .with_context(|| format!("{} cannot be read", self.log.display()))?;
        Ok(said)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has handed over what it has.
    pub(crate) fn drain(&mut self) -> Result<ExitStatus> {
        if let Some(ended) = self.process.try_wait()? {
            return Ok(ended);
        }
        Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status()
            .context("a host could not be asked to end")?;
        Ok(self.process.wait()?)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Err(error) = self.drain() {
            eprintln!("{error:#}");
        }
    }
}
