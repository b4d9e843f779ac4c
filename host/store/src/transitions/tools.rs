//! Tools, their versions, and components by digest.

use super::dialect::{Connection, Row};
use super::sql::text;
use super::{holds, state};
use crate::failures::{Failed, refused};
use crate::rows::{Unreadable, decode, encode};
use bytes::Bytes;
use fusebox_engine::ports::store::{Space, ToolChange};
use fusebox_engine::records::ToolRecord;
use fusebox_engine::requests::digest_of;
use sqlx::Row as _;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT t.name, t.enabled, v.number, v.body FROM tools t ",
            "JOIN tool_versions v ON v.tenant = t.tenant AND v.name = t.name ",
            $rest
        )
    };
}

pub(super) const NEWEST_OF_ALL: &str = select!(
    "AND v.number = (SELECT MAX(number) FROM tool_versions m WHERE m.tenant = t.tenant AND m.name = t.name) \
     WHERE t.tenant = $1 ORDER BY t.name"
);
pub(super) const NEWEST: &str = select!("WHERE t.tenant = $1 AND t.name = $2 ORDER BY v.number DESC LIMIT 1");
pub(super) const VERSION: &str = select!("WHERE t.tenant = $1 AND t.name = $2 AND v.number = $3");
pub(super) const COMPONENT: &str = "SELECT wasm AS bytes FROM components WHERE tenant = $1 AND digest = $2";
/// The next number of a name, taken. Numbers outlive their versions: a run may be pinned to one.
pub(super) const NUMBER: &str = "INSERT INTO tool_numbers (tenant, name, highest) VALUES ($1, $2, 1) \
     ON CONFLICT (tenant, name) DO UPDATE SET highest = tool_numbers.highest + 1 RETURNING highest";
pub(super) const DROP_UNUSED_COMPONENTS: &str = "DELETE FROM components WHERE tenant = $1 AND NOT EXISTS \
     (SELECT 1 FROM tool_versions v WHERE v.tenant = components.tenant AND v.component = components.digest)";

pub(super) fn tool(row: &Row) -> Result<ToolRecord, Unreadable> {
    let (name, number): (String, i64) = (row.try_get("name")?, row.try_get("number")?);
    let mut tool: ToolRecord = decode(&format!("tool {name} version {number}"), text(row, "body")?)?;
    tool.enabled = row.try_get("enabled")?;
    tool.number = number;
    Ok(tool)
}

pub(super) async fn deploy(
    connection: &mut Connection,
    mut tool: ToolRecord,
    component: Bytes,
) -> Result<(ToolRecord, bool), Failed> {
    if digest_of(&component) != tool.component {
        return Err(refused(format!(
            "the component of tool `{}` does not have the digest {}",
            tool.name, tool.component
        )));
    }
    holds::tool(connection, &tool.tenant, &tool.name).await?;
    let newest = sqlx::query(NEWEST).bind(&tool.tenant).bind(&tool.name);
    if let Some(row) = newest.fetch_optional(&mut *connection).await? {
        match self::tool(&row) {
            Ok(newest)
                if newest.component == tool.component
                    && newest.manifest == tool.manifest
                    && newest.links == tool.links =>
            {
                return Ok((newest, false));
            }
            Ok(_) => {}
            // Deploying anew is the way out of a broken version.
            Err(unreadable) => tracing::error!(row = %unreadable.row, "a new version replaces it: {unreadable}"),
        }
        // Only an operator enables what an operator disabled.
        tool.enabled = row.try_get("enabled")?;
    }
    let number = sqlx::query_scalar(NUMBER).bind(&tool.tenant).bind(&tool.name);
    tool.number = number.fetch_one(&mut *connection).await?;
    insert(connection, &tool, &component).await?;
    Ok((tool, true))
}

async fn insert(connection: &mut Connection, tool: &ToolRecord, component: &[u8]) -> Result<(), Failed> {
    let digest = tool.component.0.as_slice();
    sqlx::query("INSERT INTO components (tenant, digest, wasm) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(&tool.tenant)
        .bind(digest)
        .bind(component)
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO tools (tenant, name, enabled) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(&tool.tenant)
        .bind(&tool.name)
        .bind(tool.enabled)
        .execute(&mut *connection)
        .await?;
    let row = format!("tool {} version {}", tool.name, tool.number);
    sqlx::query("INSERT INTO tool_versions (tenant, name, number, component, body) VALUES ($1, $2, $3, $4, $5)")
        .bind(&tool.tenant)
        .bind(&tool.name)
        .bind(tool.number)
        .bind(digest)
        .bind(encode(&row, tool)?)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn change(
    connection: &mut Connection,
    tenant: &str,
    name: &str,
    change: ToolChange,
) -> Result<bool, Failed> {
    let enable = "UPDATE tools SET enabled = $3 WHERE tenant = $1 AND name = $2";
    let query = match change {
        ToolChange::Enable => sqlx::query(enable).bind(tenant).bind(name).bind(true),
        ToolChange::Disable => sqlx::query(enable).bind(tenant).bind(name).bind(false),
        ToolChange::Remove => sqlx::query("DELETE FROM tools WHERE tenant = $1 AND name = $2")
            .bind(tenant)
            .bind(name),
    };
    let found = query.execute(&mut *connection).await?.rows_affected() > 0;
    if found && change == ToolChange::Remove {
        sqlx::query(DROP_UNUSED_COMPONENTS)
            .bind(tenant)
            .execute(&mut *connection)
            .await?;
        sqlx::query(state::FORGET)
            .bind(tenant)
            .bind(state::name(&Space::Tool(name.to_owned())))
            .execute(connection)
            .await?;
    }
    Ok(found)
}
