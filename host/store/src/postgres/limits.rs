//! Limits of services that the hosts of one database keep together. Each question is one short transaction under a lock of its service.
//!
//! The tables are not logged: what they hold matters for seconds, and a crash of the server costs one period of a rate limit.

use super::dialect::{Connection, Row};
use super::failures;
use super::line::Line;
use super::transact;
use crate::failures::Failed;
use crate::rows::decode;
use crate::seal::Vault;
use async_trait::async_trait;
use fusebox_core::policy::RateLimit;
use fusebox_core::share::{Claim, Share, share};
use fusebox_core::time::Wall;
use fusebox_core::window::Window;
use fusebox_engine::ports::fleet::{Ask, Limits, SHARE_LEASE, Shared, Turns};
use fusebox_engine::ports::store::StoreError;
use sqlx::Row as _;
use std::sync::Arc;
use std::time::Duration;

/// Waits for whoever is at the limits of that service.
const TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))";
const WINDOW: &str = concat!(
    "SELECT ",
    now!(),
    " AS now, (SELECT promised FROM service_turns WHERE tenant = $1 AND service = $2) AS promised"
);
const PROMISE: &str = "INSERT INTO service_turns (tenant, service, promised) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, service) DO UPDATE SET promised = excluded.promised";
const CLAIMS: &str = concat!(
    "SELECT held, wanted, since, owner = $3 AS own FROM service_places ",
    "WHERE tenant = $1 AND service = $2 AND (owner = $3 OR until > ",
    now!(),
    ") ORDER BY owner"
);
/// Those whose hosts are gone go with it.
const FORGET: &str = concat!(
    "DELETE FROM service_places WHERE tenant = $1 AND service = $2 AND (owner = $3 OR until <= ",
    now!(),
    ")"
);
const CLAIM: &str = concat!(
    "INSERT INTO service_places AS p (tenant, service, owner, held, wanted, since, until) VALUES ($1, $2, $3, $4, $5, ",
    now!(),
    ", ",
    now!(),
    " + $6) ON CONFLICT (tenant, service, owner) DO UPDATE SET held = excluded.held, wanted = excluded.wanted, until = excluded.until, ",
    "since = CASE WHEN (p.held = 0) = (excluded.held = 0) THEN p.since ELSE excluded.since END"
);

const NEWEST: Wall = Wall(i64::MAX);

/// Limits in one database.
pub(super) struct PostgresLimits {
    pub(super) line: Line,
    pub(super) place: Arc<str>,
    /// Nothing of this is sealed.
    pub(super) vault: Arc<Vault>,
}

#[async_trait]
impl Limits for PostgresLimits {
    async fn promise(&self, of: &Shared, limit: RateLimit, count: u32, within: Duration) -> Result<Turns, StoreError> {
        let of = of.clone();
        let promised = transact::write(&self.line, &self.vault, move |c, _| {
            Box::pin(async move { promise(c, &of, limit, count, within).await })
        });
        promised.await.map_err(|failed| failures::at(&self.place, failed))
    }

    async fn share(&self, of: &Shared, ask: &Ask) -> Result<Share, StoreError> {
        let (of, ask) = (of.clone(), ask.clone());
        let shared = transact::write(&self.line, &self.vault, move |c, _| {
            Box::pin(async move { divide(c, &of, &ask).await })
        });
        shared.await.map_err(|failed| failures::at(&self.place, failed))
    }
}

/// Lets nobody else decide about that service until the transaction is over.
async fn turn(connection: &mut Connection, of: &Shared) -> Result<(), Failed> {
    let turn = sqlx::query(TURN).bind(&*of.tenant).bind(&*of.service);
    turn.execute(connection).await?;
    Ok(())
}

async fn promise(
    connection: &mut Connection,
    of: &Shared,
    limit: RateLimit,
    count: u32,
    within: Duration,
) -> Result<Turns, Failed> {
    turn(connection, of).await?;
    let window = sqlx::query(WINDOW).bind(&*of.tenant).bind(&*of.service);
    let row = window.fetch_one(&mut *connection).await?;
    let (now, promised): (i64, Option<String>) = (row.try_get("now")?, row.try_get("promised")?);
    let mut window = match promised {
        Some(promised) => Window::new(decode("service_turns", promised.as_bytes())?),
        None => Window::default(),
    };
    let now = Wall(now);
    let promised = window.reserve(limit, count, now, now + within);
    let written = serde_json::json!(window.promised()).to_string();
    let write = sqlx::query(PROMISE).bind(&*of.tenant).bind(&*of.service).bind(written);
    write.execute(connection).await?;
    let after = promised.at.into_iter();
    Ok(Turns {
        after: after.map(|(at, count)| (at.since(now), count)).collect(),
        beyond: promised.beyond.map(|(_, at)| at.since(now)),
    })
}

async fn divide(connection: &mut Connection, of: &Shared, ask: &Ask) -> Result<Share, Failed> {
    turn(connection, of).await?;
    let owner = ask.owner.as_str();
    let claims = sqlx::query(CLAIMS).bind(&*of.tenant).bind(&*of.service).bind(owner);
    let rows = claims.fetch_all(&mut *connection).await?;
    let mut claims = rows.iter().map(claim).collect::<Result<Vec<_>, _>>()?;
    // One who is new, or has just given back the last of his places, has waited for the shortest time.
    let own = rows.iter().position(|row| row.try_get("own").unwrap_or(false));
    let own = own.unwrap_or(claims.len());
    if own == claims.len() {
        claims.push(Claim {
            held: 0,
            wanted: 0,
            since: NEWEST,
        });
    }
    claims[own] = claims[own].renewed(ask.held, ask.wanted, NEWEST);
    let share = share(ask.limit, own, &claims);
    if share.held == 0 && ask.wanted == 0 {
        let forget = sqlx::query(FORGET).bind(&*of.tenant).bind(&*of.service).bind(owner);
        forget.execute(connection).await?;
        return Ok(share);
    }
    let lease = i64::try_from(SHARE_LEASE.as_millis()).unwrap_or(i64::MAX);
    let claim = sqlx::query(CLAIM).bind(&*of.tenant).bind(&*of.service).bind(owner);
    let claim = claim
        .bind(i64::from(share.held))
        .bind(i64::from(ask.wanted))
        .bind(lease);
    claim.execute(connection).await?;
    Ok(share)
}

fn claim(row: &Row) -> Result<Claim, Failed> {
    let count = |column: &str| -> Result<u32, Failed> {
        let count: i64 = row.try_get(column)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    };
    Ok(Claim {
        held: count("held")?,
        wanted: count("wanted")?,
        since: Wall(row.try_get("since")?),
    })
}
