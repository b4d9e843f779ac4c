//! `fusebox dlq export`: a letter as files that other tools read.

use super::{Context, Failed, Which, memory};
use crate::cli::moments::amount;
use clap::Args;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What is written where. Files are created for the owner alone, since a letter holds inputs and memory.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  fusebox dlq export ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --to letter.json
  fusebox dlq export ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --coredump letter.coredump
  fusebox dlq export ltr_01jd4m9q7gk0v3x8w2h5t6y1ze --memory 1:0 --offset 0 --length 0x110000 --to memory.bin")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Write the letter as JSON, or with --memory that part of its memory; stdout when neither this nor --coredump is given
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Write a standard WebAssembly core dump
    #[arg(long, value_name = "FILE")]
    coredump: Option<PathBuf>,
    #[command(flatten)]
    memory: memory::Range,
}

/// Runs the command.
///
/// # Errors
/// What the host refused, or a file that cannot be written.
pub(super) async fn run(arguments: Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    let host = cx.wiring.host().await?;
    let letter = arguments.which.find(host.as_ref(), cx).await?;
    if let Some(path) = &arguments.coredump {
        let dump = host.coredump(&cx.caller, &letter.id).await?;
        write_private(path, &dump)?;
        cx.note(&format!("{}: {}", path.display(), amount(dump.len() as u64)));
        if arguments.to.is_none() {
            return Ok(());
        }
    }
    let bytes = match arguments.memory.range()? {
        Some(range) => host.memory(&cx.caller, &letter.id, range).await?,
        None => {
            let mut text = serde_json::to_vec_pretty(&letter).map_err(std::io::Error::other)?;
            text.push(b'\n');
            text
        }
    };
    match &arguments.to {
        Some(path) => {
            write_private(path, &bytes)?;
            cx.note(&format!("{}: {}", path.display(), amount(bytes.len() as u64)));
        }
        None => cx.out.bytes(&bytes)?,
    }
    Ok(())
}

/// A new file for the owner alone; a file that exists is not written over.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| {
            Failed::file(
                format!("{} cannot be written: {error}", path.display()),
                "name a file that does not exist yet, in a folder that you may write to",
            )
        })
}
