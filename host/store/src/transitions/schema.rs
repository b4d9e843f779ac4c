//! Which hosts may work with a database: one of a newer schema says from which schema on a host knows enough of it.

use super::dialect::Connection;
use crate::failures::Failed;
use fusebox_engine::ports::store::StoreError;
use sqlx::Row as _;
use sqlx::migrate::Migrator;

/// The schema that this version makes.
fn own(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The schema that a database has.
async fn found(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
}

/// Whether a database has more than this version knows of.
pub(in super::super) async fn is_newer(connection: &mut Connection, migrations: &Migrator) -> Result<bool, Failed> {
    Ok(found(connection).await? > own(migrations))
}

/// Refuses a database that needs a newer version, once the migrations of this one were applied.
pub(in super::super) async fn check(
    connection: &mut Connection,
    migrations: &Migrator,
    place: &str,
) -> Result<(), Failed> {
    let (own, found) = (own(migrations), found(connection).await?);
    if found <= own {
        return Ok(());
    }
    let row = sqlx::query("SELECT oldest, version FROM schema_compatibility");
    let row = row.fetch_one(connection).await?;
    let (oldest, version): (i64, String) = (row.try_get("oldest")?, row.try_get("version")?);
    if oldest > own {
        return Err(Failed::Answer(StoreError::Unavailable {
            reason: format!(
                "{place} was upgraded by a newer Fusebox to schema {found}, and needs a host that knows schema {oldest}; this one knows {own}. \
                 Install Fusebox {version} or later here, or use another database"
            ),
        }));
    }
    tracing::info!(
        place,
        schema = found,
        known = own,
        "the database was upgraded by a newer version, and this one may work with it"
    );
    Ok(())
}
