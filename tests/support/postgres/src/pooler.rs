//! PgBouncer before a server, which lends its few sessions for a transaction at a time.

use crate::binaries::{self, User};
use crate::server::Server;
use std::fs::Permissions;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// No start takes longer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running pooler in transaction mode; it ends with this value.
#[derive(Debug)]
pub struct Pooler {
    server: Arc<Server>,
    folder: PathBuf,
    process: Child,
    port: u16,
}

impl Pooler {
    /// Starts one with so many sessions for each database.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(server: Arc<Server>, sessions: u32) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("fusebox-pgbouncer-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        let user = User::new();
        user.own(&folder);
        let mut said = String::new();
        for _ in 0..5 {
            let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            std::fs::write(folder.join("users"), server.credentials()).unwrap();
            std::fs::write(folder.join("pgbouncer.ini"), settings(&server, &folder, port, sessions)).unwrap();
            user.own(&folder.join("users"));
            let mut command = Command::new(binaries::pgbouncer());
            command
                .arg("--quiet")
                .arg(folder.join("pgbouncer.ini"))
                .current_dir("/");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            user.runs(&mut command);
            let mut process = command.spawn().unwrap();
            if answers(&mut process, port) {
                return Self {
                    server,
                    folder,
                    process,
                    port,
                };
            }
            // Somebody may have taken the port in between.
            said = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        }
        panic!("PgBouncer does not start: {said}");
    }

    /// The URL under which it leads to a database of the server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let url = self.server.url(database);
        url.replace(&format!(":{}/", self.server.port()), &format!(":{}/", self.port))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn settings(server: &Server, folder: &std::path::Path, port: u16, sessions: u32) -> String {
    format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = scram-sha-256\nauth_file = {folder}/users\nlogfile = {folder}/log\npool_mode = transaction\n\
         default_pool_size = {sessions}\nmax_client_conn = 500\n",
        server.port(),
        folder = folder.display(),
    )
}

/// Whether it takes connections before it ends.
fn answers(process: &mut Child, port: u16) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        if !matches!(process.try_wait(), Ok(None)) {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    let _ = process.wait();
    false
}
