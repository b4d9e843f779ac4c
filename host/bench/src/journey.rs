//! A run that has made nearly as many effects as a run may, and then trapped: a dead letter with its journal in SQLite,
//! replayed without performing anything, and the rows of the same journal read by hand.

use crate::boundary::{Boundary, failed};
use anyhow::{Context as _, Result, bail, ensure};
use fusebox_core::ids::{LetterId, RunId};
use fusebox_core::policy::Durability;
use fusebox_engine::guests::GuestRuntime;
use fusebox_engine::records::JournalRecord;
use fusebox_engine::requests::{Begin, Replay, Replayed};
use fusebox_store::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use std::path::Path;
use std::sync::Arc;

/// Effects that the run makes: a run has 10,000 at most.
pub const EFFECTS: u32 = 9_900;
/// How many of them are under way at once, so that making the letter does not take as many ticks of a timer.
const AT_ONCE: u32 = 100;

/// Waits for timers of a nanosecond, so many at once and so many times over; then it traps.
const TEXT: &str = r#"
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "pollable" (type $timer (eq $pollable)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $timer))))))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $after (canon lower (func $clock "subscribe-duration")))
  (core func $drop (canon resource.drop $pollable))
  (core module $m
    (import "host" "block" (func $block (param i32)))
    (import "host" "after" (func $after (param i64) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (memory 1)
    (func (export "travel") (param $at-once i32) (param $times i32) (local $n i32)
      (loop $again
        (local.set $n (local.get $at-once))
        (loop $ask
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (i32.store (i32.shl (local.get $n) (i32.const 2)) (call $after (i64.const 1)))
          (br_if $ask (local.get $n)))
        (local.set $n (local.get $at-once))
        (loop $wait
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (call $block (i32.load (i32.shl (local.get $n) (i32.const 2))))
          (call $drop (i32.load (i32.shl (local.get $n) (i32.const 2))))
          (br_if $wait (local.get $n)))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $again (local.get $times)))
      unreachable))
  (core instance $i (instantiate $m (with "host" (instance
    (export "block" (func $block)) (export "after" (func $after)) (export "drop" (func $drop))))))
  (func (export "travel") (param "at-once" u32) (param "times" u32) (canon lift (core func $i "travel"))))
"#;

/// The letter, and the host that keeps it.
pub struct Journey {
    boundary: Boundary,
    letter: LetterId,
    run: RunId,
    /// Reads the database beside the host.
    connection: SqliteConnection,
}

impl Journey {
    /// Runs the function to its trap, on a host of its own in `folder`.
    ///
    /// # Errors
    /// The failure of the part that could not be started, or that the run left no letter.
    pub async fn start(folder: &Path, guests: GuestRuntime) -> Result<Self> {
        let path = folder.join("fusebox.db");
        let store = Arc::new(SqliteStore::open(&path).await?);
        let wasm = wat::parse_str(TEXT)?;
        let boundary = Boundary::start_with(folder, store, guests, Durability::OnFailure, wasm).await?;
        let input = format!(r#"{{"at-once":{AT_ONCE},"times":{}}}"#, EFFECTS / AT_ONCE);
        let Err(failure) = boundary.call_function("travel", &input).await else {
            bail!("the run did not trap");
        };
        let connection = SqliteConnectOptions::new()
            .filename(&path)
            .pragma("query_only", "ON")
            .disable_statement_logging()
            .connect()
            .await?;
        Ok(Self {
            letter: failure
                .letter
                .clone()
                .with_context(|| format!("it left no letter: {failure}"))?,
            run: failure
                .run
                .clone()
                .with_context(|| format!("it left no run: {failure}"))?,
            boundary,
            connection,
        })
    }

    /// Reads the letter and its journal, and serves the journal to a fresh instance until it traps again.
    ///
    /// # Errors
    /// The failure of the replay, or that it did not serve every effect.
    pub async fn replay(&self) -> Result<()> {
        let replay = Replay {
            letter: self.letter.clone(),
            deadline: None,
            from: Begin::ResumePoint,
            repeat: Vec::new(),
            component: None,
            dry_run: true,
        };
        let Replayed::Dry(dry) = self
            .boundary
            .host
            .replay(&self.boundary.caller, replay)
            .await
            .map_err(failed)?
        else {
            bail!("the replay was not dry");
        };
        ensure!(
            dry.served == EFFECTS && dry.effect.is_none(),
            "{} served: {}",
            dry.served,
            dry.next
        );
        Ok(())
    }

    /// Reads the rows of the journal and decodes them.
    ///
    /// # Errors
    /// The database's, or that a row is not what it should be.
    pub async fn read(&mut self) -> Result<Vec<JournalRecord>> {
        let rows = sqlx::query_as("SELECT body, payload FROM journal WHERE tenant = ?1 AND run = ?2 ORDER BY seq")
            .bind(&*self.boundary.caller.tenant)
            .bind(self.run.as_str());
        let rows: Vec<(String, Vec<u8>)> = rows.fetch_all(&mut self.connection).await?;
        let decode = |(body, payload): (String, Vec<u8>)| {
            let mut record: JournalRecord = serde_json::from_str(&body)?;
            if let Some(settled) = &mut record.settled {
                settled.body = payload.into();
            }
            anyhow::Ok(record)
        };
        let records = rows.into_iter().map(decode).collect::<Result<Vec<_>>>()?;
        ensure!(
            records.len() == EFFECTS as usize,
            "the journal has {} rows",
            records.len()
        );
        Ok(records)
    }
}
