//! The binary as a child process: what it printed, how it ended, and a time after which it is given up.

use serde_json::Value;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// No command of a test takes longer, compiling a large guest on a busy machine aside.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ran {
    command: String,
    /// Its exit code, or the negative number of the signal that ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ran {
    /// Fails with everything that it printed, unless it ended with that exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code of {}", self.shown());
        self
    }

    /// Fails unless stderr holds that text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "`{text}` is not on stderr of {}",
            self.shown()
        );
        self
    }

    /// Its stdout as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("stdout is no JSON ({error}): {}", self.shown()),
        }
    }

    /// Its stdout as JSON, one value a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let line = |line| match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => panic!("`{line}` is no JSON ({error}): {}", self.shown()),
        };
        self.stdout.lines().map(line).collect()
    }

    /// The letter that its failure names, under `--json`.
    #[track_caller]
    pub(crate) fn letter(&self) -> String {
        match self.json()["error"]["letter"].as_str() {
            Some(letter) => letter.to_owned(),
            None => panic!("no letter is named by {}", self.shown()),
        }
    }

    /// Everything about it.
    pub(crate) fn shown(&self) -> String {
        format!(
            "{}\n[exit code {}, {:?}]\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.command, self.code, self.took, self.stdout, self.stderr
        )
    }
}

/// A command that runs; it is killed when this is dropped.
pub(crate) struct Running {
    command: String,
    child: Child,
    stdout: Reader,
    stderr: Reader,
    started: Instant,
    patience: Duration,
}

impl Running {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command, patience: Duration) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            command: format!("{command:?}"),
            stdout: Reader::start(child.stdout.take().unwrap()),
            stderr: Reader::start(child.stderr.take().unwrap()),
            child,
            started: Instant::now(),
            patience,
        }
    }

    /// Waits for its end; one that takes too long is killed, and the test fails with what it printed so far.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ran {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.ran(status);
            }
            if since.elapsed() > self.patience {
                self.child.kill().unwrap();
                let status = self.child.wait().unwrap();
                let ran = self.ran(status);
                panic!("after {:?} it had not ended: {}", self.patience, ran.shown());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has printed on stdout so far.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.stdout.read.lock().unwrap()).into_owned()
    }

    /// What it has printed on stderr so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.stderr.read.lock().unwrap()).into_owned()
    }

    /// Whether it has not ended.
    #[cfg(feature = "failpoints")]
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end: SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Stops it where it is, without its noticing: SIGSTOP.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on: SIGCONT.
    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Ends it as a crash would: `kill -9`.
    pub(crate) fn kill(mut self) -> Ran {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.ran(status)
    }

    fn ran(&mut self, status: ExitStatus) -> Ran {
        Ran {
            command: self.command.clone(),
            code: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
            took: self.started.elapsed(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads a pipe in a thread of its own, so that a full pipe stops nobody.
struct Reader {
    read: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let read = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&read);
        let thread = thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                to.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Self { read, thread }
    }

    /// What was read, to the end of the pipe; a grandchild that was left behind may hold it open, so not for ever.
    fn text(&self) -> String {
        let until = Instant::now() + Duration::from_secs(2);
        while !self.thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        String::from_utf8_lossy(&self.read.lock().unwrap()).into_owned()
    }
}
