//! Commands as a manifest writes them: one a line, split into words, run without a shell.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Child;

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    line: String,
    program: String,
    arguments: Vec<String>,
}

impl fmt::Display for Command {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.line)
    }
}

impl Command {
    /// What it runs.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Starts it in a folder, without those variables. A program with a `/` in its name is one of that folder. It reads nothing, and
    /// what it prints goes to stderr.
    ///
    /// # Errors
    /// That there is no such program, or that it cannot be started.
    pub(super) fn start(&self, folder: &Path, without: &[String]) -> io::Result<Child> {
        let mut command = if self.program.contains('/') {
            tokio::process::Command::new(folder.join(&self.program))
        } else {
            tokio::process::Command::new(&self.program)
        };
        for variable in without {
            command.env_remove(variable);
        }
        command
            .args(&self.arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(io::stderr())
            .kill_on_drop(true)
            .spawn()
    }
}

/// The commands of a text, one a line. Words are parted by white space, and single or double quotes hold one together; nothing else means
/// anything.
///
/// # Errors
/// What is wrong with which line.
pub(super) fn split(text: &str) -> Result<Vec<Command>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let commands = lines.map(|line| {
        let mut words = words(line)?.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        Ok(Command {
            line: line.to_owned(),
            program: program.ok_or_else(|| format!("`{line}` names no program"))?,
            arguments: words.collect(),
        })
    });
    let commands: Vec<_> = commands.collect::<Result<_, String>>()?;
    if commands.is_empty() {
        return Err("it has no command".to_owned());
    }
    Ok(commands)
}

fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("a {quote} is not closed in `{line}`"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn split_words(text: &str) -> Vec<Vec<String>> {
        let commands = split(text).unwrap().into_iter();
        commands
            .map(|command| [vec![command.program], command.arguments].concat())
            .collect()
    }

    #[test]
    fn lines_are_commands_and_quotes_hold_words_together() {
        assert_eq!(
            split_words("\n cargo build  --release\n\nsh -c 'a && b' \"\" x'y z'\n"),
            [
                vec!["cargo", "build", "--release"],
                vec!["sh", "-c", "a && b", "", "xy z"]
            ]
        );
    }

    #[test]
    fn what_only_a_shell_understands_means_nothing() {
        assert_eq!(
            split_words("echo $HOME ; rm * # x"),
            [vec!["echo", "$HOME", ";", "rm", "*", "#", "x"]]
        );
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert!(split(" \n").unwrap_err().contains("no command"));
        assert!(split("echo 'x").unwrap_err().contains("not closed"));
        assert!(split("'' x").unwrap_err().contains("names no program"));
    }

    #[tokio::test]
    async fn a_command_runs_in_its_folder_without_what_is_private() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("bin/own-sh")).unwrap();
        // PATH is the one variable that every test has.
        let [command] = split("bin/own-sh -c 'echo \"${PATH-none}\" > seen'")
            .unwrap()
            .try_into()
            .unwrap();
        let status = |mut child: Child| async move { child.wait().await.unwrap() };
        assert!(status(command.start(folder.path(), &[]).unwrap()).await.success());
        let seen = || std::fs::read_to_string(folder.path().join("seen")).unwrap();
        assert_ne!(seen(), "none\n");
        let without = ["PATH".to_owned()];
        let [command] = split("bin/own-sh -c '/usr/bin/env > seen'")
            .unwrap()
            .try_into()
            .unwrap();
        assert!(status(command.start(folder.path(), &without).unwrap()).await.success());
        assert!(!seen().lines().any(|line| line.starts_with("PATH=")), "{}", seen());
    }
}
