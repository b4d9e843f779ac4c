//! One connection of a client: reads requests, and answers each as its service and its fault say.

use crate::clock::sleep;
use crate::fault::{Fault, ResetAt};
use crate::http::{Reply, Request, read_request};
use crate::record::Answered;
use crate::service::Service;
use crate::world::World;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Long enough for what was written to be read by the other side before a reset overtakes it.
const BEFORE_RESET: Duration = Duration::from_millis(30);

/// What becomes of the connection after an answer.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

/// Serves requests until either side closes the connection.
pub(crate) async fn serve(world: &World, service: Service, connection: u64, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let request = tokio::select! {
            request = read_request(&mut stream) => request,
            () = world.refusing(service) => return Ok(()),
        };
        let request = match request {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let reply = Reply::error(400, error.to_string());
                return send(&mut stream, &reply, &reply.head(0, true)).await;
            }
            Err(error) => return Err(error),
        };
        if answer(world, service, connection, &request, &mut stream).await? == Next::Close {
            return Ok(());
        }
    }
}

async fn answer(
    world: &World,
    service: Service,
    connection: u64,
    request: &Request,
    stream: &mut BufReader<TcpStream>,
) -> io::Result<Next> {
    let (n, fault) = world.arrived(service, connection, request);
    let work = || world.work(service, n, request);
    let noted = |reply: Option<&Reply>, executed: bool| {
        world.answered(
            n,
            Answered {
                status: reply.map(|reply| reply.status),
                executed,
                fault: fault.clone(),
            },
        );
    };
    match fault.clone() {
        None => {
            let reply = work();
            noted(Some(&reply), reply.succeeded());
            whole(stream, request, &reply).await
        }
        Some(Fault::Delay(millis)) => {
            sleep(Duration::from_millis(millis)).await;
            let reply = work();
            noted(Some(&reply), reply.succeeded());
            whole(stream, request, &reply).await
        }
        Some(Fault::Status {
            status,
            retry_after,
            body,
        }) => {
            let reply = scripted(status, retry_after, body);
            noted(Some(&reply), false);
            whole(stream, request, &reply).await
        }
        Some(Fault::ExecuteThenStatus(status)) => {
            let executed = work().succeeded();
            let reply = scripted(status, None, None);
            noted(Some(&reply), executed);
            whole(stream, request, &reply).await
        }
        Some(Fault::ExecuteThenReset) => {
            noted(None, work().succeeded());
            reset(stream)
        }
        Some(Fault::Reset(ResetAt::BeforeAnswer)) => {
            noted(None, false);
            reset(stream)
        }
        Some(Fault::Reset(ResetAt::MidBody)) => {
            let reply = work();
            noted(Some(&reply), reply.succeeded());
            stream.write_all(&reply.head(0, false)).await?;
            stream.write_all(&reply.body[..reply.body.len() / 2]).await?;
            sleep(BEFORE_RESET).await;
            reset(stream)
        }
        Some(Fault::Trickle(millis)) => {
            let reply = work();
            noted(Some(&reply), reply.succeeded());
            stream.write_all(&reply.head(0, true)).await?;
            for byte in &reply.body {
                sleep(Duration::from_millis(millis)).await;
                stream.write_all(&[*byte]).await?;
            }
            Ok(Next::Close)
        }
        Some(Fault::LieLength(more)) => {
            let reply = work();
            noted(Some(&reply), reply.succeeded());
            send(stream, &reply, &reply.head(more, true)).await?;
            Ok(Next::Close)
        }
        Some(Fault::Hang | Fault::Refuse) => {
            noted(None, false);
            until_closed(stream).await;
            Ok(Next::Close)
        }
    }
}

/// The answer of a fault that answers with a status.
fn scripted(status: u16, retry_after: Option<String>, body: Option<String>) -> Reply {
    let mut reply = Reply::error(status, "scripted fault");
    if let Some(body) = body {
        reply.body = body.into_bytes();
    }
    if status == 204 || status == 304 {
        reply.body.clear();
    }
    match retry_after {
        Some(value) => reply.with("retry-after", value),
        None => reply,
    }
}

async fn whole(stream: &mut BufReader<TcpStream>, request: &Request, reply: &Reply) -> io::Result<Next> {
    let close = request.closes();
    send(stream, reply, &reply.head(0, close)).await?;
    Ok(if close { Next::Close } else { Next::Request })
}

async fn send(stream: &mut BufReader<TcpStream>, reply: &Reply, head: &[u8]) -> io::Result<()> {
    stream.write_all(&[head, &reply.body].concat()).await?;
    stream.flush().await
}

/// Makes the close that follows a reset.
fn reset(stream: &BufReader<TcpStream>) -> io::Result<Next> {
    stream.get_ref().set_zero_linger()?;
    Ok(Next::Close)
}

/// Returns when the client has given up.
async fn until_closed(stream: &mut BufReader<TcpStream>) {
    let mut scrap = [0; 1024];
    while stream.read(&mut scrap).await.is_ok_and(|count| count > 0) {}
}
