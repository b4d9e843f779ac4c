//! `fusebox completions`: a script that completes commands in a shell.

use super::{Context, Failed, command};
use clap::Args;
use clap_complete::Shell;

/// Which shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fusebox completions bash > ~/.local/share/bash-completion/completions/fusebox")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// Those of stdout.
pub(super) fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "fusebox", &mut script);
    Ok(cx.out.bytes(&script)?)
}
