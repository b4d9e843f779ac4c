//! The database that the settings name: a SQLite file, or one of a PostgreSQL server.

use fusebox_engine::ports::fleet::{Alone, Fleet};
use fusebox_engine::ports::store::{Store, StoreError};
use fusebox_manifest::PathSetting;
use fusebox_store::{Place, PostgresStore, SqliteStore, StoreOptions};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where everything is kept that lasts.
#[derive(Clone)]
pub(crate) enum Database {
    /// A SQLite file.
    File(PathBuf),
    /// A URL, with user and password.
    Postgres(String),
}

/// An open database.
pub(crate) struct Opened {
    /// What lasts.
    pub(crate) store: Arc<dyn Store>,
    /// The hosts that share it.
    pub(crate) fleet: Arc<dyn Fleet>,
}

impl Database {
    /// What a setting names; paths are relative to the operator's file or the working folder, URLs are not.
    pub(crate) fn named(setting: &PathSetting, beside: &Path, working: &Path) -> Self {
        if setting.is_postgres() {
            return Self::Postgres(setting.path.clone());
        }
        Self::File(setting.resolve(beside, working))
    }

    /// What the settings, here the command line, would name so.
    pub(crate) fn typed(text: &str, working: &Path) -> Self {
        let setting = PathSetting {
            path: text.to_owned(),
            from_file: false,
        };
        Self::named(&setting, working, working)
    }

    /// As the store names it.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::File(path) => Place::File(path.clone()),
            Self::Postgres(url) => Place::Postgres(url.clone()),
        }
    }

    /// Opens it; the journals of failed runs that became no letter are kept so long.
    pub(crate) async fn open(&self, options: StoreOptions, failed_journals: Duration) -> Result<Opened, StoreError> {
        Ok(match self {
            Self::File(path) => {
                let store = SqliteStore::open_with(path, options).await?;
                Opened {
                    store: Arc::new(store.keep_failed_journals(failed_journals)),
                    fleet: Arc::new(Alone::default()),
                }
            }
            Self::Postgres(url) => {
                let store = PostgresStore::open_with(url, options).await?;
                Opened {
                    fleet: Arc::new(store.fleet()),
                    store: Arc::new(store.keep_failed_journals(failed_journals)),
                }
            }
        })
    }

    /// Whether it is a file that is not there yet.
    pub(crate) fn is_to_come(&self) -> bool {
        matches!(self, Self::File(path) if !path.exists())
    }
}

impl fmt::Display for Database {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(url) => f.write_str(&PostgresStore::shown(url)),
        }
    }
}
