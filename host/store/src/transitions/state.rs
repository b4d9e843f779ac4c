//! The keyed store: keys of tools and of runs.

use super::dialect::{Connection, Row};
use crate::failures::Failed;
use crate::rows::Unreadable;
use crate::seal::{Place, Vault};
use bytes::Bytes;
use fusebox_engine::ports::store::{Space, StateWrite};
use sqlx::Row as _;

/// Keys that a list of them gives.
pub(super) const KEYS: i64 = 1000;

pub(super) const ONE: &str =
    "SELECT tenant, space, key, value FROM state WHERE tenant = $1 AND space = $2 AND key = $3";
pub(super) const BEGIN_SO: &str = "SELECT key FROM state WHERE tenant = $1 AND space = $2 AND key >= $3 \
     AND (CAST($4 AS TEXT) IS NULL OR key < $4) ORDER BY key LIMIT $5";
pub(super) const FORGET: &str = "DELETE FROM state WHERE tenant = $1 AND space = $2";

/// How a space is stored.
pub(super) fn name(space: &Space) -> String {
    match space {
        Space::Tool(tool) => format!("tool:{tool}"),
        Space::Run(run) => format!("run:{run}"),
    }
}

/// The smallest text that is larger than all that begin with `prefix`; `None` when there is none.
pub(super) fn after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

pub(super) fn value(vault: &Vault, row: &Row) -> Result<Bytes, Unreadable> {
    let (tenant, space, key): (String, String, String) =
        (row.try_get("tenant")?, row.try_get("space")?, row.try_get("key")?);
    let key = format!("{space}/{key}");
    let value = vault.open(Place::new("state", &tenant, &key), row.try_get("value")?)?;
    Ok(Bytes::from(value.into_owned()))
}

pub(super) fn key(row: &Row) -> Result<String, Unreadable> {
    Ok(row.try_get("key")?)
}

pub(super) async fn write(
    connection: &mut Connection,
    vault: &Vault,
    tenant: &str,
    write: &StateWrite,
) -> Result<(), Failed> {
    let space = name(&write.space);
    let query = match &write.value {
        None => sqlx::query("DELETE FROM state WHERE tenant = $1 AND space = $2 AND key = $3")
            .bind(tenant)
            .bind(&space)
            .bind(&write.key),
        Some(value) => {
            let key = format!("{space}/{}", write.key);
            let value = vault.seal(Place::new("state", tenant, &key), value)?;
            sqlx::query(
                "INSERT INTO state (tenant, space, key, value) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (tenant, space, key) DO UPDATE SET value = excluded.value",
            )
            .bind(tenant)
            .bind(&space)
            .bind(&write.key)
            .bind(value.into_owned())
        }
    };
    query.execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        assert_eq!(after("ab").as_deref(), Some("ac"));
        assert_eq!(after("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(after("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after("\u{10ffff}"), None);
        assert_eq!(after(""), None);
    }
}
