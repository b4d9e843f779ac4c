//! `fusebox man`: a manual page for each command, for who packages Fusebox.

use super::{Context, Failed, command};
use clap::Args;
use std::path::PathBuf;

/// Where the pages go.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fusebox man ~/.local/share/man/man1")]
pub(super) struct Arguments {
    /// A folder, which has to be there
    folder: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// A folder that cannot be written to.
pub(super) fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let folder = &arguments.folder;
    clap_mangen::generate_to(command(), folder).map_err(|error| {
        Failed::file(
            format!("{} cannot be written to: {error}", folder.display()),
            "name a folder that is there, such as ~/.local/share/man/man1",
        )
    })?;
    cx.note(&format!("manual pages are in {}", folder.display()));
    Ok(())
}
