//! What a guest prints is its log, line by line: the start and the end are kept, the middle is counted. It is never an
//! error or back-pressure to the guest.

use bytes::Bytes;
use fusebox_engine::ports::sandbox::Effects;
use fusebox_engine::records::{Log, LogLine};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// A longer line is cut into several of this many bytes.
const LINE: usize = 8 << 10;
/// What a line costs beside its text, so that empty lines are bounded too.
const LINE_COST: usize = 16;
/// What a stream takes in one write.
const WRITE: usize = 64 << 10;

/// The log of one attempt while it is written. What a guest prints while the journal is served it has printed before.
pub(crate) struct Collector {
    effects: Arc<dyn Effects>,
    lines: Mutex<Lines>,
}

impl Collector {
    /// A log of so many bytes: half of it from the start, half from the end.
    pub(crate) fn new(limit: u64, effects: Arc<dyn Effects>) -> Arc<Self> {
        let half = usize::try_from(limit / 2).unwrap_or(usize::MAX);
        Arc::new(Self {
            effects,
            lines: Mutex::new(Lines::new(half)),
        })
    }

    /// The log so far, unfinished lines included.
    pub(crate) fn take(&self) -> Log {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.take()
    }

    /// Writes to stdout, or to stderr.
    pub(crate) fn write(&self, err: bool, bytes: &[u8]) {
        if !self.effects.is_live() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.write(err, bytes);
    }
}

struct Lines {
    half: usize,
    head: Vec<LogLine>,
    head_left: usize,
    head_full: bool,
    tail: VecDeque<LogLine>,
    tail_held: usize,
    dropped: u64,
    /// The unfinished line of stdout, and of stderr.
    open: [Vec<u8>; 2],
}

impl Lines {
    fn new(half: usize) -> Self {
        Self {
            half,
            head: Vec::new(),
            head_left: half,
            head_full: false,
            tail: VecDeque::new(),
            tail_held: 0,
            dropped: 0,
            open: [Vec::new(), Vec::new()],
        }
    }

    fn write(&mut self, err: bool, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            self.append(err, text);
            if whole {
                self.close(err);
            }
        }
    }

    fn append(&mut self, err: bool, mut text: &[u8]) {
        while !text.is_empty() {
            let open = &mut self.open[usize::from(err)];
            let (now, later) = text.split_at(text.len().min(LINE - open.len()));
            open.extend_from_slice(now);
            text = later;
            if open.len() == LINE {
                self.close(err);
            }
        }
    }

    fn close(&mut self, err: bool) {
        let mut line = std::mem::take(&mut self.open[usize::from(err)]);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        self.keep(LogLine { err, text });
    }

    fn keep(&mut self, line: LogLine) {
        let cost = line.text.len() + LINE_COST;
        if !self.head_full && cost <= self.head_left {
            self.head_left -= cost;
            self.head.push(line);
            return;
        }
        self.head_full = true;
        self.tail_held += cost;
        self.tail.push_back(line);
        while self.tail_held > self.half {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_held -= oldest.text.len() + LINE_COST;
            self.dropped = self.dropped.saturating_add(oldest.text.len() as u64 + 1);
        }
    }

    fn take(&mut self) -> Log {
        for err in [false, true] {
            if !self.open[usize::from(err)].is_empty() {
                self.close(err);
            }
        }
        let done = std::mem::replace(self, Self::new(self.half));
        let mut log = Log {
            head: done.head,
            dropped: done.dropped,
            tail: done.tail.into(),
        };
        if log.dropped == 0 {
            log.head.append(&mut log.tail);
        }
        log
    }
}

/// One of the two streams.
#[derive(Clone)]
pub(crate) struct Printed {
    log: Arc<Collector>,
    err: bool,
}

impl Printed {
    pub(crate) fn stdout(log: &Arc<Collector>) -> Self {
        Self {
            log: Arc::clone(log),
            err: false,
        }
    }

    pub(crate) fn stderr(log: &Arc<Collector>) -> Self {
        Self {
            log: Arc::clone(log),
            err: true,
        }
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.write(self.err, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE)
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Printed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.log.write(self.err, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Whether the journal is served no more.
    struct Live(AtomicBool);

    impl Effects for Live {
        fn is_live(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn collector(limit: u64) -> Arc<Collector> {
        Collector::new(limit, Arc::new(Live(AtomicBool::new(true))))
    }

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_of_both_streams_are_put_together_from_pieces() {
        let log = collector(1 << 10);
        log.write(false, b"hel");
        log.write(true, b"oops\r\n");
        log.write(false, b"lo\n\nend");
        let log = log.take();
        assert_eq!(texts(&log.head), ["oops", "hello", "", "end"]);
        assert_eq!(
            log.head.iter().map(|line| line.err).collect::<Vec<_>>(),
            [true, false, false, false]
        );
        assert_eq!((log.dropped, log.tail.len()), (0, 0));
    }

    #[test]
    fn a_flood_keeps_its_start_and_its_end_and_counts_the_rest() {
        let log = collector(200);
        for number in 0..1000 {
            log.write(false, format!("line {number:04}\n").as_bytes());
        }
        let log = log.take();
        assert_eq!(texts(&log.head), ["line 0000", "line 0001", "line 0002", "line 0003"]);
        assert_eq!(texts(&log.tail), ["line 0996", "line 0997", "line 0998", "line 0999"]);
        assert_eq!(log.dropped, 992 * 10);
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_its_limit() {
        let log = collector(64 << 10);
        for _ in 0..1000 {
            log.write(true, &[b'x'; 4096]);
        }
        let log = log.take();
        let held: usize = log.head.iter().chain(&log.tail).map(|line| line.text.len()).sum();
        assert!(held <= 64 << 10, "{held}");
        assert!(log.dropped > 3 << 20);
    }

    #[test]
    fn what_is_printed_while_the_journal_is_served_was_printed_before() {
        let live = Arc::new(Live(AtomicBool::new(false)));
        let log = Collector::new(1 << 10, Arc::<Live>::clone(&live));
        log.write(false, b"again\n");
        live.0.store(true, Ordering::SeqCst);
        log.write(false, b"news\n");
        assert_eq!(texts(&log.take().head), ["news"]);
    }
}
