//! Rows that a transition keeps from other writers before it reads what it decides by. A database with one writer has nothing to keep.
//!
//! Whoever holds several takes runs first, then keys, so that no two wait for each other.

use super::dialect::{Connection, MANY_WRITERS};
use crate::failures::Failed;
use fusebox_core::ids::{ApprovalId, Digest, LetterId};

const RUN: &str = "SELECT 1 FROM runs WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE";
const RUN_OF_LETTER: &str = "SELECT 1 FROM runs WHERE tenant = $1 AND id = \
     (SELECT l.run FROM letters l WHERE l.tenant = $1 AND l.id = $2) FOR NO KEY UPDATE";
const RUN_OF_APPROVAL: &str = "SELECT 1 FROM runs WHERE tenant = $1 AND id = \
     (SELECT a.root FROM approvals a WHERE a.tenant = $1 AND a.id = $2) FOR NO KEY UPDATE";
const KEY: &str = "SELECT 1 FROM keys WHERE tenant = $1 AND call_key = $2 FOR UPDATE";
/// Makes the row too: the first deploy of a name is kept from other first ones.
const TOOL: &str = "INSERT INTO tool_numbers (tenant, name, highest) VALUES ($1, $2, 0) \
     ON CONFLICT (tenant, name) DO UPDATE SET highest = tool_numbers.highest";

async fn hold(connection: &mut Connection, statement: &str, tenant: &str, id: &str) -> Result<(), Failed> {
    if MANY_WRITERS {
        let held = sqlx::query(statement).bind(tenant).bind(id);
        held.execute(connection).await?;
    }
    Ok(())
}

/// A root and, through it, its tree, its letters and its questions.
pub(super) async fn run(connection: &mut Connection, tenant: &str, id: &str) -> Result<(), Failed> {
    hold(connection, RUN, tenant, id).await
}

/// The root of a letter.
pub(super) async fn letter(connection: &mut Connection, tenant: &str, id: &LetterId) -> Result<(), Failed> {
    hold(connection, RUN_OF_LETTER, tenant, id.as_str()).await
}

/// The root of a question.
pub(super) async fn approval(connection: &mut Connection, tenant: &str, id: &ApprovalId) -> Result<(), Failed> {
    hold(connection, RUN_OF_APPROVAL, tenant, id.as_str()).await
}

/// The versions of a tool.
pub(super) async fn tool(connection: &mut Connection, tenant: &str, name: &str) -> Result<(), Failed> {
    hold(connection, TOOL, tenant, name).await
}

/// A call's key, if somebody has it.
pub(super) async fn key(connection: &mut Connection, tenant: &str, key: &Digest) -> Result<(), Failed> {
    if MANY_WRITERS {
        let held = sqlx::query(KEY).bind(tenant).bind(key.0.as_slice());
        held.execute(connection).await?;
    }
    Ok(())
}
