//! Tools, their versions, and components by digest.

use super::dialect::{Connection, Row};
use super::sql::text;
use super::{holds, objects, state};
use crate::blobs::{Kind, Object};
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
pub(super) const COMPONENT: &str = "SELECT wasm AS bytes, object FROM components WHERE tenant = $1 AND digest = $2";
/// The next number of a name, taken. Numbers outlive their versions: a run may be pinned to one.
pub(super) const NUMBER: &str = "INSERT INTO tool_numbers (tenant, name, highest) VALUES ($1, $2, 1) \
     ON CONFLICT (tenant, name) DO UPDATE SET highest = tool_numbers.highest + 1 RETURNING highest";
pub(super) const DROP_UNUSED_COMPONENTS: &str = "DELETE FROM components WHERE tenant = $1 AND NOT EXISTS \
     (SELECT 1 FROM tool_versions v WHERE v.tenant = components.tenant AND v.component = components.digest) RETURNING digest, object";

pub(super) fn tool(row: &Row) -> Result<ToolRecord, Unreadable> {
    let (name, number): (String, i64) = (row.try_get("name")?, row.try_get("number")?);
    let mut tool: ToolRecord = decode(&format!("tool {name} version {number}"), text(row, "body")?)?;
    tool.enabled = row.try_get("enabled")?;
    tool.number = number;
    Ok(tool)
}

/// Refuses a component that is not the one that the record names.
pub(super) fn check(tool: &ToolRecord, component: &Bytes) -> Result<(), Failed> {
    if digest_of(component) == tool.component {
        return Ok(());
    }
    Err(refused(format!(
        "the component of tool `{}` does not have the digest {}",
        tool.name, tool.component
    )))
}

/// What became of a deploy: the version, whether it is new, and whether a row names the object.
type Deployed = ((ToolRecord, bool), bool);

/// Adds a version; its component is in `object`, or in `component`.
pub(super) async fn deploy(
    connection: &mut Connection,
    mut tool: ToolRecord,
    component: Bytes,
    object: Option<String>,
) -> Result<Deployed, Failed> {
    holds::tool(connection, &tool.tenant, &tool.name).await?;
    let newest = sqlx::query(NEWEST).bind(&tool.tenant).bind(&tool.name);
    if let Some(row) = newest.fetch_optional(&mut *connection).await? {
        match self::tool(&row) {
            Ok(newest)
                if newest.component == tool.component
                    && newest.manifest == tool.manifest
                    && newest.links == tool.links =>
            {
                return Ok(((newest, false), false));
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
    let named = insert(connection, &tool, &component, object).await?;
    Ok(((tool, true), named))
}

/// Whether the component was not there yet.
async fn insert(
    connection: &mut Connection,
    tool: &ToolRecord,
    component: &[u8],
    object: Option<String>,
) -> Result<bool, Failed> {
    let digest = tool.component.0.as_slice();
    let added = sqlx::query(
        "INSERT INTO components (tenant, digest, wasm, object) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(&tool.tenant)
    .bind(digest)
    .bind(component)
    .bind(object)
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
    Ok(added.rows_affected() > 0)
}

/// Whether there was such a tool, and the objects of the components that went with it.
pub(super) async fn change(
    connection: &mut Connection,
    tenant: &str,
    name: &str,
    change: ToolChange,
) -> Result<(bool, Vec<Object>), Failed> {
    let enable = "UPDATE tools SET enabled = $3 WHERE tenant = $1 AND name = $2";
    let query = match change {
        ToolChange::Enable => sqlx::query(enable).bind(tenant).bind(name).bind(true),
        ToolChange::Disable => sqlx::query(enable).bind(tenant).bind(name).bind(false),
        ToolChange::Remove => sqlx::query("DELETE FROM tools WHERE tenant = $1 AND name = $2")
            .bind(tenant)
            .bind(name),
    };
    let found = query.execute(&mut *connection).await?.rows_affected() > 0;
    let mut gone = Vec::new();
    if found && change == ToolChange::Remove {
        let dropped = sqlx::query(DROP_UNUSED_COMPONENTS).bind(tenant);
        for row in dropped.fetch_all(&mut *connection).await? {
            gone.extend(objects::gone(Kind::Component, tenant, &row)?);
        }
        sqlx::query(state::FORGET)
            .bind(tenant)
            .bind(state::name(&Space::Tool(name.to_owned())))
            .execute(connection)
            .await?;
    }
    Ok((found, gone))
}
