//! A running server: started, found, stopped.

use crate::binaries::{self, User};
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Seconds without a user after which the shared server is stopped.
const SHARED_IDLE: u32 = 60;
/// Seconds without a user after which the server of a test that was killed is stopped.
const OWN_IDLE: u32 = 2;
/// The one user of the server, and its superuser.
const ROLE: &str = "fusebox";

/// Whether what the server has committed outlives the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    Full,
    /// What is committed outlives the server's processes, not the machine; much faster.
    Processes,
}

/// A server, for as long as this value lives or longer.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    port: u16,
    password: String,
    own: bool,
    /// Tells the watchdog that somebody uses the server.
    _using: File,
}

impl Server {
    /// The server that all tests of this user share; started if none runs.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn shared() -> Self {
        let user = std::env::var("USER").unwrap_or_default();
        let folder = std::env::temp_dir().join(format!("fusebox-postgres-{}", user.replace('/', "-")));
        Self::at(folder, false, Durability::Processes)
    }

    /// A server of one test, stopped when this value is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn own(durability: Durability) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "fusebox-postgres-own-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        Self::at(std::env::temp_dir().join(name), true, durability)
    }

    fn at(folder: PathBuf, own: bool, durability: Durability) -> Self {
        // The server's user has to get through.
        let made = DirBuilder::new().recursive(true).mode(0o711).create(&folder);
        made.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let using = lock_file(&folder, "users");
        using.lock_shared().unwrap();
        // One process at a time looks whether it runs, and starts it.
        let starting = lock_file(&folder, "starting");
        starting.lock().unwrap();
        let port = match running(&folder) {
            Some(port) => port,
            None => start(&folder, durability),
        };
        watch(&folder, own);
        let password = std::fs::read_to_string(folder.join("server/password")).unwrap();
        Self {
            folder,
            port,
            password,
            own,
            _using: using,
        }
    }

    /// The URL of a database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Its user and password, as PgBouncer has them in its file of users.
    pub(crate) fn credentials(&self) -> String {
        format!("\"{ROLE}\" \"{}\"\n", self.password)
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops every process of the server at once, as a crash of it does.
    ///
    /// # Panics
    /// When others use the server too, or it cannot be stopped.
    pub fn crash(&self) {
        assert!(self.own, "others use the server too");
        control(&self.folder, &["-m", "immediate", "-w", "stop"]).unwrap();
    }

    /// Stops it as somebody does who maintains it: connections are ended, and what they did not commit is undone.
    ///
    /// # Panics
    /// When others use the server too, or it cannot be stopped.
    pub fn stop(&self) {
        assert!(self.own, "others use the server too");
        control(&self.folder, &["-m", "fast", "-w", "stop"]).unwrap();
    }

    /// Starts it again after a crash or stop, on the same port.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_again(&self) {
        launch(&self.folder, self.port).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.own {
            // The watchdog removes the folder, and stops what could not be stopped here.
            let _ = control(&self.folder, &["-m", "immediate", "-w", "stop"]);
        }
    }
}

fn lock_file(folder: &Path, name: &str) -> File {
    let file = File::options().append(true).create(true).open(folder.join(name));
    file.unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.display()))
}

/// The port of a server that answers.
fn running(folder: &Path) -> Option<u16> {
    let port = std::fs::read_to_string(folder.join("server/port")).ok()?.parse().ok()?;
    TcpStream::connect(("127.0.0.1", port)).ok()?;
    // Another program could have the port by now.
    control(folder, &["status"]).ok()?;
    Some(port)
}

/// Makes a cluster and starts it on a free port; returns the port.
fn start(folder: &Path, durability: Durability) -> u16 {
    let user = User::new();
    let server = folder.join("server");
    let _ = control(folder, &["-m", "immediate", "-w", "stop"]);
    let _ = std::fs::remove_dir_all(&server);
    std::fs::create_dir(&server).unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(server.join("password"), password()).unwrap();
    user.own(&server.join("password"));
    user.own(&server);
    let mut initdb = Command::new(binaries::folder().join("initdb"));
    initdb.arg("-D").arg(server.join("data"));
    initdb.arg("--pwfile").arg(server.join("password"));
    initdb.args([
        "-U",
        ROLE,
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--auth=scram-sha-256",
        "--no-sync",
    ]);
    user.run(&mut initdb).unwrap_or_else(|error| panic!("{error}"));
    let mut settings = format!(
        "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nmax_connections = 300\n",
        server.display()
    );
    if durability == Durability::Processes {
        settings.push_str("fsync = off\nfull_page_writes = off\n");
    }
    let file = server.join("data/postgresql.conf");
    let defaults = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, defaults + &settings).unwrap();
    let mut failed = String::new();
    for _ in 0..5 {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        match launch(folder, port) {
            Ok(()) => {
                std::fs::write(server.join("port"), port.to_string()).unwrap();
                return port;
            }
            // Somebody may have taken the port in between.
            Err(error) => failed = error,
        }
    }
    let log = std::fs::read_to_string(server.join("log")).unwrap_or_default();
    panic!("{failed}\n{log}");
}

fn launch(folder: &Path, port: u16) -> Result<(), String> {
    let log = folder.join("server/log");
    control(
        folder,
        &[
            "-w",
            "-t",
            "120",
            "-l",
            &log.display().to_string(),
            "-o",
            &format!("-p {port}"),
            "start",
        ],
    )
}

fn control(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut control = Command::new(binaries::folder().join("pg_ctl"));
    control.arg("-D").arg(folder.join("server/data")).args(arguments);
    User::new().run(&mut control)
}

/// Starts a watchdog; it ends at once where one watches already.
#[expect(
    clippy::zombie_processes,
    reason = "it outlives this process, or has ended; nobody asks how"
)]
fn watch(folder: &Path, own: bool) {
    let idle = if own { OWN_IDLE } else { SHARED_IDLE };
    let mut watchdog = Command::new("sh");
    watchdog.args(["-c", include_str!("watchdog.sh"), "watchdog"]);
    watchdog.arg(folder).arg(idle.to_string());
    watchdog
        .arg(binaries::folder().join("pg_ctl"))
        .arg(User::new().number());
    watchdog.arg(if own { "own" } else { "shared" });
    watchdog
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // What ends the tests does not end it.
    watchdog.current_dir("/").process_group(0);
    watchdog.spawn().unwrap();
}

fn password() -> String {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
