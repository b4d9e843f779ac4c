//! The network between a host and its database: a TCP proxy that can stop forwarding without telling anybody.
//!
//! Both ends keep their connections and hear nothing, as behind a switch that fails: no reset, no end of the stream. Unlike there, the kernel
//! of each end is told that its bytes have arrived, so no timeout of TCP helps: what notices has to be in the host.

use crate::site::runtime;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long the server's end of a connection stays that was forgotten: its host may not be heard of for so long.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// What happens to bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    /// Nothing is forwarded, in neither direction.
    silent: bool,
    /// What is forwarded waits so long before.
    delay: Duration,
    /// Connections older than this are never forwarded again.
    forgotten: u64,
    /// Connections older than this are closed.
    cut: u64,
}

/// A proxy; it ends when this is dropped.
pub(crate) struct Proxy {
    port: u16,
    weather: Arc<watch::Sender<Weather>>,
    /// The number of the next connection.
    next: watch::Receiver<u64>,
    _stop: DropGuard,
}

impl Proxy {
    /// A proxy before that port of this machine.
    pub(crate) fn before(port: u16) -> Self {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let own = listener.local_addr().unwrap().port();
        let weather = Arc::new(watch::Sender::new(Weather::default()));
        let (count, next) = watch::channel(0);
        let stop = CancellationToken::new();
        let accepting = accept(listener, port, Arc::clone(&weather), count, stop.clone());
        runtime().spawn(stop.clone().run_until_cancelled_owned(accepting));
        Self {
            port: own,
            weather,
            next,
            _stop: stop.drop_guard(),
        }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Drops everything, in both directions, silently; new connections too.
    pub(crate) fn silence(&self) {
        self.weather.send_modify(|weather| weather.silent = true);
    }

    /// Forwards again, what was sent meanwhile first: as TCP sends again what got lost.
    pub(crate) fn resume(&self) {
        self.weather.send_modify(|weather| {
            weather.silent = false;
            weather.delay = Duration::ZERO;
        });
    }

    /// Forwards again, but nothing of the connections that there were: as after a firewall has forgotten them.
    pub(crate) fn forget(&self) {
        let next = *self.next.borrow();
        self.weather.send_modify(|weather| {
            weather.silent = false;
            weather.forgotten = next;
        });
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        let next = *self.next.borrow();
        self.weather.send_modify(|weather| weather.cut = next);
    }

    /// Delays everything, in both directions, by so much.
    pub(crate) fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    weather: Arc<watch::Sender<Weather>>,
    count: watch::Sender<u64>,
    stop: CancellationToken,
) {
    while let Ok((mut near, _)) = listener.accept().await {
        let mut weather = weather.subscribe();
        let count = count.clone();
        let connected = async move {
            // Whoever connects while nothing gets through is connected afterwards.
            let _ = weather.wait_for(|weather| !weather.silent).await;
            let mut far = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
            let mut number = 0;
            count.send_modify(|next| {
                number = *next;
                *next += 1;
            });
            let closed = {
                let mut weather = weather.clone();
                async move { weather.wait_for(|weather| weather.cut > number).await.map(|_| ()) }
            };
            let forgotten = {
                let mut weather = weather.clone();
                async move {
                    let _ = weather.wait_for(|weather| weather.forgotten > number).await;
                    tokio::time::sleep(FORGOTTEN).await;
                }
            };
            let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
            let gone = tokio::select! {
                _ = pump(near_in, far_out, weather.clone(), number) => false,
                _ = pump(far_in, near_out, weather, number) => false,
                _ = closed => false,
                () = forgotten => true,
            };
            if gone {
                // The server gives its client up. The host has to notice by itself.
                drop(far);
                std::future::pending::<()>().await;
            }
            io::Result::Ok(())
        };
        runtime().spawn(stop.clone().run_until_cancelled_owned(connected));
    }
}

/// Forwards one direction.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
    number: u64,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        let delay = weather.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let passes = |weather: &Weather| !weather.silent && weather.forgotten <= number;
        let passing = weather.wait_for(passes).await;
        drop(passing.map_err(io::Error::other)?);
        if length == 0 {
            return Ok(());
        }
        to.write_all(&piece[..length]).await?;
    }
}
