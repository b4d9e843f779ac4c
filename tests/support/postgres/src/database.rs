//! A database of one test.

use crate::server::Server;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A lock that who makes a template has until it is made.
const TEMPLATES: i64 = 1;

/// A database that is dropped with this value.
#[derive(Debug)]
pub struct Database {
    server: Arc<Server>,
    name: String,
}

impl Database {
    /// An empty database.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn empty(server: Arc<Server>) -> Self {
        Self::copy(server, "template0").await
    }

    /// A copy of the database `template`, which is filled by `fill`, given its URL, when there is none. Its name has to tell what is in it: it
    /// stays for other processes as long as the server.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn like<F: Future<Output = ()>>(
        server: Arc<Server>,
        template: &str,
        fill: impl FnOnce(String) -> F,
    ) -> Self {
        let mut connection = administrator(&server).await;
        let known = "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)";
        if !sqlx::query_scalar::<_, bool>(known)
            .bind(template)
            .fetch_one(&mut connection)
            .await
            .unwrap()
        {
            let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATES);
            lock.execute(&mut connection).await.unwrap();
            // Somebody else may have made it meanwhile.
            if !sqlx::query_scalar::<_, bool>(known)
                .bind(template)
                .fetch_one(&mut connection)
                .await
                .unwrap()
            {
                let unfinished = format!("{template}_unfinished");
                for statement in [
                    format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)"),
                    format!("CREATE DATABASE {unfinished} TEMPLATE template0"),
                ] {
                    sqlx::query(&statement).execute(&mut connection).await.unwrap();
                }
                fill(server.url(&unfinished)).await;
                let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1";
                sqlx::query(end)
                    .bind(&unfinished)
                    .execute(&mut connection)
                    .await
                    .unwrap();
                let rename = format!("ALTER DATABASE {unfinished} RENAME TO {template}");
                sqlx::query(&rename).execute(&mut connection).await.unwrap();
            }
        }
        connection.close().await.unwrap();
        Self::copy(server, template).await
    }

    async fn copy(server: Arc<Server>, template: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let name = format!(
            "test_{since}_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mut connection = administrator(&server).await;
        let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        sqlx::query(&create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        Self { server, name }
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// A value that a query tells, as text; nothing where there is none.
    ///
    /// # Panics
    /// When the server does not answer, or the value is no text.
    pub async fn ask(&self, query: &str) -> String {
        let options: PgConnectOptions = self.url().parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        let told: Option<Option<String>> = sqlx::query_scalar(query)
            .persistent(false)
            .fetch_optional(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{query}: {error}"));
        connection.close().await.unwrap();
        told.flatten().unwrap_or_default()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (Arc::clone(&self.server), self.name.clone());
        // A runtime cannot wait in another one. What is not dropped here goes with the server.
        let dropping = std::thread::spawn(move || {
            let runtime = runtime();
            runtime.block_on(async {
                let options: PgConnectOptions = server.url("postgres").parse().unwrap();
                if let Ok(mut connection) = options.connect().await {
                    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    let _ = sqlx::query(&drop).execute(&mut connection).await;
                }
            });
        });
        let _ = dropping.join();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn administrator(server: &Server) -> PgConnection {
    let options: PgConnectOptions = server.url("postgres").parse().unwrap();
    options.connect().await.unwrap()
}
