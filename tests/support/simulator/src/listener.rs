//! A service's port: accepts connections, and refuses them while the script says so.

use crate::connection;
use crate::service::Service;
use crate::world::World;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

const BACKLOG: u32 = 1024;

/// A port that is ours, open or not: a socket that is bound and does not listen refuses connections and keeps the port.
enum Door {
    Open(TcpListener),
    Shut(TcpSocket),
}

/// Opens that port of 127.0.0.1; 0 takes a free one.
pub(crate) fn open(port: u16) -> io::Result<TcpListener> {
    bound(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?.listen(BACKLOG)
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts connections of a service until `stop`.
pub(crate) async fn serve(
    world: Arc<World>,
    service: Service,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut wanted = world.gate(service).wanted.subscribe();
    let mut door = Door::Open(listener);
    loop {
        let refuse = *wanted.borrow_and_update();
        door = match door {
            Door::Open(listener) if refuse => {
                drop(listener);
                Door::Shut(bound(address)?)
            }
            Door::Shut(socket) if !refuse => Door::Open(socket.listen(BACKLOG)?),
            same => same,
        };
        world.gate(service).applied.send_replace(refuse);
        tokio::select! {
            accepted = accept(&door) => {
                let (world, stop) = (world.clone(), stop.clone());
                let number = world.connected();
                let stream = accepted?;
                tokio::spawn(async move {
                    // A client that breaks its connection is what this process is for; there is nobody to tell.
                    stop.run_until_cancelled(connection::serve(&world, service, number, stream)).await
                });
            }
            changed = wanted.changed() => if changed.is_err() { return Ok(()) },
            () = stop.cancelled() => return Ok(()),
        }
    }
}

async fn accept(door: &Door) -> io::Result<tokio::net::TcpStream> {
    match door {
        Door::Open(listener) => Ok(listener.accept().await?.0),
        Door::Shut(_) => std::future::pending().await,
    }
}
