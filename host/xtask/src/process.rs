//! Runs other programs, and names the command that installs one that is missing.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A prerequisite that is not there.
#[derive(Debug, thiserror::Error)]
#[error("{what} is missing; install it with: {install}")]
pub(crate) struct NotInstalled {
    /// What is missing.
    pub(crate) what: &'static str,
    /// The command that installs it.
    pub(crate) install: &'static str,
}

/// A program that may have to be installed first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    /// What people call it.
    pub(crate) what: &'static str,
    /// The command line that shows whether it is there.
    pub(crate) probe: &'static [&'static str],
    /// The command that installs it on Debian.
    pub(crate) debian: &'static str,
    /// The command that installs it on macOS.
    pub(crate) macos: &'static str,
    /// The command, or the page, that installs it elsewhere.
    pub(crate) elsewhere: &'static str,
}

impl Tool {
    /// An error that names the installing command, unless the program is there.
    pub(crate) fn require(&self) -> Result<()> {
        let [program, arguments @ ..] = self.probe else {
            return Ok(());
        };
        let found = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        if found.is_ok_and(|output| output.status.success()) {
            return Ok(());
        }
        let install = if is_debian() {
            self.debian
        } else if cfg!(target_os = "macos") {
            self.macos
        } else {
            self.elsewhere
        };
        Err(NotInstalled {
            what: self.what,
            install,
        }
        .into())
    }
}

/// Whether this is Debian, or what is made from it.
pub(crate) fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
}

/// Runs a command to its end, with its output on this terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and shows what it prints only if it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "{} ended with {}:\n{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&said).trim()
        );
    }
    Ok(())
}

/// Runs a command and returns what it prints to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", shown(command), output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", shown(command)))
}

/// Starts a program that says one line once it is ready, and returns that line. What the program reads and when it ends is the caller's.
pub(crate) fn ready(command: &mut Command) -> Result<(Child, String)> {
    let started = command.stdout(Stdio::piped()).spawn();
    let mut child = started.with_context(|| cannot_start(command))?;
    let stdout = child.stdout.take().context("its output is piped")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((child, line))
}

/// Whether a command succeeds; one that cannot be started does not.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", command.get_program().to_string_lossy())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_what_it_said() {
        let error = output(Command::new("sh").args(["-c", "echo no room >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("sh -c") && error.contains("3") && error.contains("no room"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_tool_names_the_command_that_installs_it() {
        let tool = Tool {
            what: "the frobnicator",
            probe: &["no-such-program-anywhere", "--version"],
            debian: "get frobnicator",
            macos: "get frobnicator",
            elsewhere: "get frobnicator",
        };
        let error = tool.require().unwrap_err();
        assert!(error.downcast_ref::<NotInstalled>().is_some());
        assert_eq!(
            error.to_string(),
            "the frobnicator is missing; install it with: get frobnicator"
        );
    }
}
