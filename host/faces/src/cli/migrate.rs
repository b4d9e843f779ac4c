//! `fusebox migrate`: everything in the database, into an empty one of whatever kind.

use super::{Context, Failed};
use clap::Args;
use serde_json::json;

/// Where to.
#[derive(Debug, Args)]
#[command(after_help = "\
Stop every host first; this database stays as it is. The copy is compared with it, row by row, before it counts. What is encrypted stays so under \
the same key. Components and pages that `blobs.store` has are copied there, into a folder of the new database's own.

Examples:
  PGPASSWORD=… fusebox migrate --to postgres://fusebox@db.example/fusebox
  FUSEBOX_DATABASE=postgres://fusebox@db.example/fusebox fusebox migrate --to fusebox.db")]
pub(super) struct Arguments {
    /// The empty database: a SQLite file, or a `postgres://` URL
    #[arg(long, value_name = "DATABASE")]
    to: String,
}

/// Runs the command.
///
/// # Errors
/// Why nothing was copied.
pub(super) async fn run(arguments: &Arguments, cx: &mut Context<'_>) -> Result<(), Failed> {
    cx.only_here("copying a database")?;
    let moved = cx.wiring.migrate(&arguments.to).await?;
    if cx.out.json() {
        let value = json!({ "from": moved.from, "to": moved.to, "rows": moved.rows, "objects": moved.objects, "digest": moved.digest });
        return Ok(cx.out.value(&value)?);
    }
    cx.note(&format!(
        "copied {} row(s) and {} object(s) from {} to {}, and compared the rows ({}); set `database` to it on every host",
        moved.rows, moved.objects, moved.from, moved.to, moved.digest
    ));
    Ok(())
}
