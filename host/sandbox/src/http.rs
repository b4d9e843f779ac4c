//! HTTP of WASI 0.2, in the functions where the runtime's own would race the guest: a request is begun once its body is whole, which is when
//! the guest hands it over or finishes the body, and its answer is seen only after it was let in, in one chunk.

mod answer;
pub(crate) mod body;
pub(crate) mod heads;
mod request;

use crate::pump::{Arrival, Pump, WrongAnswer};
use crate::state::{State, bound_crossing};
use body::OutgoingBody;
use fusebox_engine::ports::sandbox::{Ask, Got, GuestRequest};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use wasmtime::component::{Linker, Resource, ResourceTable, ResourceType};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_http::p2::bindings::http::types::{self, ErrorCode};
use wasmtime_wasi_http::p2::types::{HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse};
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttp, WasiHttpView as _};

/// The version under which the runtime's own functions are defined; guests of every 0.2.x resolve to it.
const TYPES: &str = "wasi:http/types@0.2.12";
const HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";

/// A request that was handed over: the resource `future-incoming-response`.
pub(crate) struct Exchange(Phase);

enum Phase {
    /// The guest still writes the body.
    Unfinished { head: GuestRequest, body: WasiBody },
    /// Begun.
    Begun { seq: u32, arrival: Arrival },
    /// Never begun: what is wrong with the request.
    Refused(ErrorCode),
    /// The guest took the answer.
    Taken,
}

#[async_trait]
impl Pollable for Exchange {
    async fn ready(&mut self) {
        match &self.0 {
            Phase::Unfinished { .. } => std::future::pending().await,
            Phase::Begun { arrival, .. } => arrival.here().await,
            Phase::Refused(_) | Phase::Taken => {}
        }
    }
}

impl Exchange {
    /// Bytes of the head of a request whose body the guest still writes.
    fn size_of_head(&self) -> usize {
        match &self.0 {
            Phase::Unfinished { head, .. } => size_of_head(head),
            Phase::Begun { .. } | Phase::Refused(_) | Phase::Taken => 0,
        }
    }
}

/// Bytes of what a request has beside its body.
pub(crate) fn size_of_head(request: &GuestRequest) -> usize {
    let fields = request.headers.iter().map(|(name, value)| name.len() + value.len());
    request.authority.len() + request.method.len() + request.path.len() + fields.sum::<usize>()
}

/// Exchanges whose body the guest still writes, by their numbers in the table, in the order in which they were handed over.
pub(crate) type Unfinished = Vec<u32>;

type Answer = Option<Result<Result<Resource<HostIncomingResponse>, ErrorCode>, ()>>;

/// Defines `wasi:http` for guests that send requests.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let options = wasmtime_wasi_http::p2::bindings::LinkOptions::default();
    types::add_to_linker::<State, WasiHttp>(linker, &(&options).into(), State::http)?;
    linker.allow_shadowing(true);
    exchanges(linker)?;
    bodies(linker)?;
    heads::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn exchanges(linker: &mut Linker<State>) -> Result<()> {
    let handle = |mut store: Store<'_>, (request, options): (Resource<HostOutgoingRequest>, Option<Resource<_>>)| {
        Ok((hand_over(store.data_mut(), request, options)?,))
    };
    linker.instance(HANDLER)?.func_wrap("handle", handle)?;
    let mut types = linker.instance(TYPES)?;
    types.resource(
        "future-incoming-response",
        ResourceType::host::<Exchange>(),
        |mut store, rep| let_go(store.data_mut(), rep),
    )?;
    types.func_wrap(
        "[method]future-incoming-response.subscribe",
        |mut store: Store<'_>, (exchange,): (Resource<Exchange>,)| {
            let pollable: Resource<DynPollable> = subscribe(&mut store.data_mut().table, exchange)?;
            Ok((pollable,))
        },
    )?;
    types.func_wrap_async(
        "[method]future-incoming-response.get",
        |mut store: Store<'_>, (exchange,): (Resource<Exchange>,)| {
            Box::new(async move {
                let answer = look(store.data_mut(), &exchange).await?;
                bound_crossing(&mut store);
                Ok((answer,))
            })
        },
    )
}

fn bodies(linker: &mut Linker<State>) -> Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.resource(
        "outgoing-body",
        ResourceType::host::<OutgoingBody>(),
        |mut store, rep| {
            let state = store.data_mut();
            state.table.delete(Resource::<OutgoingBody>::new_own(rep))?.abort();
            state.begin_finished()
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.body",
        |mut store: Store<'_>, (request,): (Resource<HostOutgoingRequest>,)| {
            Ok((body::of_request(store.data_mut(), &request)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-body.write",
        |mut store: Store<'_>, (body,): (Resource<OutgoingBody>,)| {
            Ok((body::stream(&mut store.data_mut().table, &body)?,))
        },
    )?;
    types.func_wrap(
        "[static]outgoing-body.finish",
        |mut store: Store<'_>, (body, trailers): (Resource<OutgoingBody>, Option<Resource<_>>)| {
            let state = store.data_mut();
            let finished = body::finish(&mut state.table, body, trailers)?;
            state.begin_finished()?;
            bound_crossing(&mut store);
            Ok((finished,))
        },
    )?;
    // Nobody answers requests with it: tools send them only.
    types.func_wrap(
        "[method]outgoing-response.body",
        |_: Store<'_>, (_,): (Resource<HostOutgoingResponse>,)| Ok((Err::<Resource<OutgoingBody>, ()>(()),)),
    )
}

type Store<'a> = StoreContextMut<'a, State>;

/// `outgoing-handler.handle`
fn hand_over(
    state: &mut State,
    request: Resource<HostOutgoingRequest>,
    options: Option<Resource<RequestOptions>>,
) -> Result<Result<Resource<Exchange>, ErrorCode>> {
    // Time limits of the guest's own are not applied: those of the service and of the attempt are.
    if let Some(options) = options {
        state.table.delete(options)?;
    }
    let mut request = state.table.delete(request)?;
    let body = request.body.take();
    let head = match request::head(request, body.is_some()) {
        Ok(head) => head,
        Err(code) => return Ok(Err(code)),
    };
    let phase = match body {
        Some(body) => Phase::Unfinished { head, body },
        None => begin(&mut state.pump, head)?,
    };
    let exchange = state.table.push(Exchange(phase))?;
    state.unfinished.push(exchange.rep());
    state.begin_finished()?;
    Ok(Ok(exchange))
}

fn begin(pump: &mut Pump, request: GuestRequest) -> Result<Phase> {
    let seq = pump.begin(Ask::Http(request))?;
    let arrival = pump.arrival(seq);
    Ok(Phase::Begun { seq, arrival })
}

impl State {
    /// Begins the requests whose bodies are whole by now.
    fn begin_finished(&mut self) -> Result<()> {
        let mut open = std::mem::take(&mut self.unfinished);
        let mut failed = None;
        open.retain(|rep| match advance(&mut self.table, &mut self.pump, *rep) {
            Ok(unfinished) => unfinished,
            Err(error) => {
                failed.get_or_insert(error);
                false
            }
        });
        self.unfinished = open;
        failed.map_or(Ok(()), Err)
    }
}

/// Begins one request if its body is whole; says whether the guest still writes it.
fn advance(table: &mut ResourceTable, pump: &mut Pump, rep: u32) -> Result<bool> {
    let exchange = table.get_mut(&Resource::<Exchange>::new_borrow(rep))?;
    let Phase::Unfinished { body, .. } = &mut exchange.0 else {
        return Ok(false);
    };
    let Some(collected) = body.collect().now_or_never() else {
        return Ok(true);
    };
    let Phase::Unfinished { mut head, body } = std::mem::replace(&mut exchange.0, Phase::Taken) else {
        return Ok(false);
    };
    drop(body);
    exchange.0 = match collected {
        Ok(whole) => {
            head.body = whole.to_bytes();
            begin(pump, head)?
        }
        Err(_) => Phase::Refused(ErrorCode::HttpProtocolError),
    };
    Ok(false)
}

/// `future-incoming-response.get`
async fn look(state: &mut State, exchange: &Resource<Exchange>) -> Result<Answer> {
    loop {
        let phase = &mut state.table.get_mut(exchange)?.0;
        let here = match phase {
            Phase::Unfinished { .. } => false,
            Phase::Begun { arrival, .. } => arrival.is_here(),
            Phase::Refused(_) | Phase::Taken => true,
        };
        if here {
            let phase = std::mem::replace(phase, Phase::Taken);
            return answer(state, phase).map(Some);
        }
        if !state.pump.not_yet().await? {
            return Ok(None);
        }
    }
}

fn answer(state: &mut State, phase: Phase) -> Result<Result<Result<Resource<HostIncomingResponse>, ErrorCode>, ()>> {
    match phase {
        Phase::Begun { seq, .. } => match state.pump.take(seq) {
            Some((Got::Http(Ok(incoming)), held)) => {
                let response = match answer::response(&mut *state.http().hooks, incoming, held) {
                    Ok(response) => Ok(state.table.push(response)?),
                    Err(code) => Err(code),
                };
                Ok(Ok(response))
            }
            Some((Got::Http(Err(error)), _)) => Ok(Ok(Err(answer::code(&error)))),
            Some((Got::Refused(_), _)) => Ok(Ok(Err(ErrorCode::HttpRequestDenied))),
            Some(_) | None => Err(WrongAnswer.into()),
        },
        Phase::Refused(code) => Ok(Ok(Err(code))),
        Phase::Unfinished { .. } | Phase::Taken => Ok(Err(())),
    }
}

/// The guest drops an exchange: what was begun goes on.
fn let_go(state: &mut State, rep: u32) -> Result<()> {
    let exchange = state.table.delete(Resource::<Exchange>::new_own(rep))?;
    match exchange.0 {
        Phase::Begun { seq, .. } => state.pump.abandon(seq),
        Phase::Unfinished { .. } => state.unfinished.retain(|other| *other != rep),
        Phase::Refused(_) | Phase::Taken => {}
    }
    Ok(())
}
