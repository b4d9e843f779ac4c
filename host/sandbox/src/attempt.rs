//! One attempt: a fresh instance, one call, and what is left of it when it failed.

use crate::backtrace;
use crate::classify::{self, Foreign};
use crate::deadline::Ended;
use crate::loaded::Loaded;
use crate::shape::Callable;
use crate::snapshot::{self, Subject};
use crate::state::{self, State};
use crate::values::{Arguments, EncodeError, Returned, encode};
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::ports::sandbox::{AttemptEnd, AttemptReport, AttemptSpec, Limit, Remains};
use fusebox_engine::records::{Log, Snapshot};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::Val;
use wasmtime::{AsContextMut as _, Error, Store, UpdateDeadline};

/// How long after its time a guest may go on inside a host call before its call is dropped.
const GRACE: Duration = Duration::from_millis(100);

/// Runs an attempt to its end, whatever that is.
pub(crate) async fn run(loaded: Arc<Loaded>, spec: AttemptSpec, clock: SystemClock) -> AttemptReport {
    run_prepared(loaded, spec, clock, |_| Ok(())).await
}

/// The same, in a store that `prepare` has had in hand.
pub(crate) async fn run_prepared(
    loaded: Arc<Loaded>,
    spec: AttemptSpec,
    clock: SystemClock,
    prepare: impl FnOnce(&mut Store<State>) -> Result<(), Error>,
) -> AttemptReport {
    if let Some(end) = refused_before(&loaded, &spec) {
        return report(end);
    }
    let Some(arguments) = spec.input.as_any().downcast_ref::<Arguments>() else {
        return report(host("the input was decoded by another component"));
    };
    let Some(function) = loaded
        .callable(arguments)
        .filter(|function| function.name == spec.function)
    else {
        return report(host("the input was decoded for another function"));
    };
    let prepared = store(&loaded, &spec, clock).and_then(|mut store| prepare(&mut store).map(|()| store));
    let mut store = match prepared {
        Ok(store) => store,
        Err(error) => return report(host(&error.root_cause().to_string())),
    };
    let deadline = store.data().pump.deadline().clone();
    let called = {
        // Pinned where it is made, since it is large.
        let call = pin!(call(&loaded, &mut store, &function, arguments.values()));
        tokio::select! {
            biased;
            called = AssertUnwindSafe(call).catch_unwind() => called.map_or(Called::Panicked, Called::Returned),
            ended = deadline.overrun(GRACE) => Called::Dropped(ended),
        }
    };
    finish(loaded, store, called, &spec, &function)
}

/// What came of the call.
enum Called {
    Returned(Result<Option<Val>, Error>),
    /// A host function panicked; the store is not to be trusted.
    Panicked,
    /// It did not end in time, and was left.
    Dropped(Ended),
}

/// Counts that are known before anything is made.
fn refused_before(loaded: &Loaded, spec: &AttemptSpec) -> Option<AttemptEnd> {
    let needed = loaded.layout.largest_count();
    let allowed = u64::from(spec.limits.instances);
    (needed > allowed).then(|| AttemptEnd::Limit {
        limit: Limit::Instances,
        message: format!(
            "the component has {needed} core instances, memories or tables; `limits.instances` allows {allowed}"
        ),
    })
}

fn store(loaded: &Loaded, spec: &AttemptSpec, clock: SystemClock) -> Result<Store<State>, Error> {
    let mut store = Store::new(loaded.engine(), State::new(spec, loaded.largest_memory(), clock));
    store.limiter(|state| &mut state.budget);
    state::bound_crossing(&mut store.as_context_mut());
    store.epoch_deadline_callback(|store| match store.data().pump.deadline().over() {
        Some(ended) => Err(ended.into()),
        None => Ok(UpdateDeadline::Yield(1)),
    });
    store.set_epoch_deadline(1);
    if let Some(fuel) = spec.limits.fuel {
        store.set_fuel(fuel)?;
    }
    Ok(store)
}

async fn call(
    loaded: &Loaded,
    store: &mut Store<State>,
    callable: &Callable,
    arguments: &[Val],
) -> Result<Option<Val>, Error> {
    let instance = loaded.pre.instantiate_async(&mut *store).await?;
    let function = instance.get_func(&mut *store, callable.export).ok_or(Foreign)?;
    let mut results = [Val::Bool(false)];
    let count = usize::from(callable.result.is_some());
    function.call_async(store, arguments, &mut results[..count]).await?;
    let [result] = results;
    Ok(callable.result.is_some().then_some(result))
}

fn finish(
    loaded: Arc<Loaded>,
    store: Store<State>,
    called: Called,
    spec: &AttemptSpec,
    function: &Callable,
) -> AttemptReport {
    let log = store.data().log.take();
    let (end, error) = match called {
        Called::Returned(Ok(value)) => (returned(function, value.as_ref(), spec), None),
        Called::Returned(Err(error)) => (classify::end(&error, store.data().refused()), Some(error)),
        Called::Dropped(ended) => (classify::ended_early(ended), None),
        Called::Panicked => {
            let end = host("a host function panicked");
            return AttemptReport { log, ..report(end) };
        }
    };
    let backtrace = error.as_ref().map(backtrace::lines).unwrap_or_default();
    let remains = (!matches!(end, AttemptEnd::Ok { .. })).then(|| Box::new(Left { loaded, store, error }) as _);
    AttemptReport {
        end,
        backtrace,
        log,
        remains,
    }
}

fn returned(function: &Callable, value: Option<&Val>, spec: &AttemptSpec) -> AttemptEnd {
    match encode(function.result.as_ref(), value, spec.spelling, spec.limits.output) {
        Ok(Returned::Ok { json }) => AttemptEnd::Ok { json },
        Ok(Returned::Err { case, json }) => AttemptEnd::Err { case, json },
        Err(error @ EncodeError::TooLarge { .. }) => AttemptEnd::Limit {
            limit: Limit::Output,
            message: format!("the result is too large: {error}"),
        },
        Err(error @ EncodeError::Mismatch(_)) => host(&error.to_string()),
    }
}

fn host(message: &str) -> AttemptEnd {
    AttemptEnd::Host {
        message: message.to_owned(),
    }
}

/// The report of an attempt that left nothing.
fn report(end: AttemptEnd) -> AttemptReport {
    AttemptReport {
        end,
        backtrace: Vec::new(),
        log: Log::default(),
        remains: None,
    }
}

/// A store that is not run any more, and the error that stopped it.
struct Left {
    loaded: Arc<Loaded>,
    store: Store<State>,
    error: Option<Error>,
}

impl Remains for Left {
    fn snapshot(self: Box<Self>) -> BoxFuture<'static, Result<Snapshot, String>> {
        Box::pin(async move {
            let Self {
                loaded,
                mut store,
                error,
            } = *self;
            let dump = snapshot::dump(&mut store, error, &loaded.runtime().trap).await?;
            // Memory is read and compressed off the runtime's threads: it may be large.
            let read = move || {
                let subject = Subject {
                    layout: &loaded.layout,
                    config: &loaded.config,
                };
                snapshot::read(&mut store, &dump, &subject)
            };
            tokio::task::spawn_blocking(read)
                .await
                .unwrap_or_else(|failed| Err(failed.to_string()))
        })
    }
}
