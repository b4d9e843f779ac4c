//! One HTTP exchange over `wasi:http`.

use crate::url::Base;
use crate::{Error, ErrorCode, Request, Response};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    http_error_code,
};
use wasip2::io::streams::StreamError;

/// Largest body that is read, in bytes.
const MAX_BODY: usize = 8 << 20;

/// How much is read at once, in bytes.
const READ: u64 = 64 << 10;

/// How much `blocking-write-and-flush` takes at once, in bytes.
const WRITE: usize = 4096;

/// A request that was sent, and whose answer nobody has read yet.
pub struct Pending {
    answer: FutureIncomingResponse,
    written: Result<(), Error>,
}

impl Pending {
    /// Waits for the whole answer.
    pub fn wait(self) -> Result<Response, Error> {
        self.answer.subscribe().block();
        let answer = match self.answer.get() {
            Some(Ok(answer)) => answer.map_err(Error::NoAnswer),
            _ => Err(Error::NoAnswer(ErrorCode::InternalError(None))),
        };
        // A refusal explains a body that could not be written, and not the other way round.
        let answer = answer?;
        self.written?;
        read(answer)
    }
}

pub(crate) fn start(base: &Base, request: &Request) -> Result<Pending, Error> {
    let outgoing = prepare(base, request)?;
    let body = outgoing.body().map_err(|()| unusable("body"))?;
    let answer = outgoing_handler::handle(outgoing, None).map_err(Error::NoAnswer)?;
    Ok(Pending {
        answer,
        written: write(body, &request.body),
    })
}

fn prepare(base: &Base, request: &Request) -> Result<OutgoingRequest, Error> {
    let headers: Vec<(String, Vec<u8>)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
        .collect();
    let headers = Fields::from_list(&headers)
        .map_err(|error| Error::BadRequest(format!("a header is not allowed: {error:?}")))?;
    let outgoing = OutgoingRequest::new(headers);
    outgoing
        .set_method(&method(&request.method))
        .map_err(|()| unusable("method"))?;
    outgoing
        .set_scheme(Some(&base.scheme))
        .map_err(|()| unusable("scheme"))?;
    outgoing
        .set_authority(Some(&base.authority))
        .map_err(|()| unusable("host"))?;
    let path = format!("{}{}", base.prefix, request.path);
    outgoing
        .set_path_with_query(Some(&path))
        .map_err(|()| unusable("path"))?;
    Ok(outgoing)
}

fn unusable(part: &str) -> Error {
    Error::BadRequest(format!("the request's {part} cannot be used"))
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), Error> {
    let stream = body.write().map_err(|()| unusable("body"))?;
    for chunk in bytes.chunks(WRITE) {
        stream.blocking_write_and_flush(chunk).map_err(broken)?;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(Error::NoAnswer)
}

fn read(answer: IncomingResponse) -> Result<Response, Error> {
    let status = answer.status();
    let headers = answer.headers().entries();
    let incoming = answer
        .consume()
        .map_err(|()| Error::NoAnswer(ErrorCode::InternalError(None)))?;
    let body = read_body(&incoming)?;
    Ok(Response { status, headers, body })
}

fn read_body(incoming: &IncomingBody) -> Result<Vec<u8>, Error> {
    let stream = incoming
        .stream()
        .map_err(|()| Error::NoAnswer(ErrorCode::InternalError(None)))?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(READ) {
            Ok(chunk) => body.extend_from_slice(&chunk),
            Err(StreamError::Closed) => return Ok(body),
            Err(error) => return Err(broken(error)),
        }
        if body.len() > MAX_BODY {
            return Err(Error::BadAnswer(format!("the answer is larger than {MAX_BODY} bytes")));
        }
    }
}

/// The reason that HTTP gives for a broken stream.
fn broken(error: StreamError) -> Error {
    let code = match error {
        StreamError::LastOperationFailed(error) => http_error_code(&error),
        StreamError::Closed => Some(ErrorCode::ConnectionTerminated),
    };
    Error::NoAnswer(code.unwrap_or(ErrorCode::InternalError(None)))
}
