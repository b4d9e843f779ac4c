//! Whether a database is encrypted, and with which key: told by one sealed text.

use super::dialect::Connection;
use crate::failures::Failed;
use crate::seal::{Place, Vault};
use fusebox_engine::ports::store::StoreError;

const TEXT: &[u8] = b"fusebox sealed database 1";

fn place() -> Place<'static> {
    Place::new("the proof of the key", "", "")
}

fn unusable(reason: &str) -> Failed {
    Failed::Answer(StoreError::Unavailable {
        reason: reason.to_owned(),
    })
}

/// Compares the key with the database; a new one is encrypted from its first row on.
pub(in super::super) async fn check(connection: &mut Connection, vault: &Vault) -> Result<(), Failed> {
    let proof: Option<Vec<u8>> = sqlx::query_scalar("SELECT proof FROM sealing")
        .fetch_optional(&mut *connection)
        .await?;
    match proof {
        None if vault.has_key() => encrypt(connection, vault).await,
        None => Ok(()),
        Some(_) if !vault.has_key() => Err(unusable(
            "the database is encrypted. Configure the key that it was made with",
        )),
        Some(proof) => match vault.open(place(), &proof) {
            Ok(text) if text.as_ref() == TEXT => Ok(()),
            _ => Err(unusable(
                "the database was encrypted with another key. Configure the key that it was made with",
            )),
        },
    }
}

async fn encrypt(connection: &mut Connection, vault: &Vault) -> Result<(), Failed> {
    const USED: &str =
        "SELECT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM errors) OR EXISTS (SELECT 1 FROM pages)";
    if sqlx::query_scalar(USED).fetch_one(&mut *connection).await? {
        return Err(unusable(
            "the database holds rows that are not encrypted, and a key is configured. Use a new database, or no key",
        ));
    }
    let proof = vault.seal(place(), TEXT)?.into_owned();
    sqlx::query("INSERT INTO sealing (one, proof) VALUES (1, $1)")
        .bind(proof)
        .execute(connection)
        .await?;
    Ok(())
}
