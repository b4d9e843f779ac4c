//! `fusebox secrets`: values that the host adds to requests, each for the hosts that it was meant for.

use super::{Context, Failed};
use clap::Subcommand;
use std::io::{IsTerminal, Read};

/// Longer values are no secrets but mistakes.
const LONGEST: u64 = 64 << 10;

/// What is done with secrets.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Keep a secret; its value is read from stdin, so that it stands in no history
    #[command(after_help = "\
Examples:
  printf %s \"$KEY\" | fusebox secrets set OPENAI_API_KEY --host api.openai.com
  fusebox secrets set MAIL_KEY --host mail.example < mail.key")]
    Set {
        /// Its name, as manifests write it in ${secret:NAME}
        name: String,
        /// A host that it may be sent to; more than one may be given
        #[arg(long, required = true)]
        host: Vec<String>,
        /// Only to these hosts, and no longer to those that were named before
        #[arg(long)]
        only: bool,
    },
    /// List names and hosts; values are never shown
    List,
    /// Forget a secret
    Remove {
        /// Its name
        name: String,
    },
}

impl Command {
    /// Whether its `--host` is where a secret may be sent.
    pub(super) fn names_hosts(&self) -> bool {
        matches!(self, Self::Set { .. })
    }
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read or written, or a name that is none.
pub(super) fn run(command: Command, cx: &mut Context<'_>) -> Result<(), Failed> {
    cx.only_here("keeping secrets")?;
    let keeper = cx.wiring.secrets()?;
    match command {
        Command::Set { name, host, only } => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                cx.note("type the value, then Enter and Ctrl-D (it is shown while you type)");
            }
            let mut value = String::new();
            stdin
                .lock()
                .take(LONGEST + 1)
                .read_to_string(&mut value)
                .map_err(|error| Failed::usage(format!("the value cannot be read: {error}"), "pipe it in as text"))?;
            let value = value.trim_end_matches(['\r', '\n']);
            if value.is_empty() || value.len() as u64 > LONGEST {
                return Err(Failed::usage(
                    "the value is empty, or larger than 64 KiB",
                    format!("pipe it in: printf %s \"$VALUE\" | fusebox secrets set {name} --host HOST"),
                ));
            }
            let hosts = keeper.set(&name, &host, only, value)?;
            cx.note(&format!("{name} may be sent to {}", hosts.join(", ")));
        }
        Command::List => {
            let entries = keeper.list()?;
            cx.out.rows(&["secret", "hosts", "source"], &entries, |entry| {
                vec![entry.name.clone(), entry.hosts.join(", "), entry.source.clone()]
            })?;
        }
        Command::Remove { name } => {
            if !keeper.remove(&name)? {
                return Err(Failed::usage(
                    format!("there is no secret `{name}`"),
                    "`fusebox secrets list` shows them",
                ));
            }
            cx.note(&format!("{name} is forgotten"));
        }
    }
    Ok(())
}
