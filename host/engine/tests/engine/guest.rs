//! The guest's side of its effects, as the sandbox keeps it: the order of asking is kept, and what is let in waits until it is looked at.

use bytes::Bytes;
use fusebox_engine::ports::sandbox::{
    Ask, AttemptEnd, AttemptSpec, Called, Effects, Got, GuestRequest, Moment, Stopped, Target,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a script returns; one that the engine has stopped ends as the sandbox ends its instance.
pub(crate) type Ended = Result<AttemptEnd, Stopped>;

/// One attempt, seen from inside.
#[derive(Clone)]
pub(crate) struct Guest {
    /// Over the life of the component, from 1.
    pub(crate) attempt: u32,
    /// The arguments.
    pub(crate) spec: Arc<AttemptSpec>,
    /// What was let in and not looked at yet. Whoever waits holds it while it asks for the next.
    let_in: Arc<tokio::sync::Mutex<BTreeMap<u32, Got>>>,
    order: Arc<Mutex<Vec<u32>>>,
    clock: Arc<Mutex<Moment>>,
}

impl Guest {
    pub(crate) fn new(attempt: u32, spec: AttemptSpec) -> Self {
        let clock = Moment {
            passed: Duration::ZERO,
            wall: spec.wall,
        };
        Self {
            attempt,
            spec: Arc::new(spec),
            let_in: Arc::default(),
            order: Arc::default(),
            clock: Arc::new(Mutex::new(clock)),
        }
    }

    fn effects(&self) -> &dyn Effects {
        self.spec.effects.as_ref()
    }

    /// Where its clocks stood when it began.
    pub(crate) fn spec_clock(&self) -> Moment {
        Moment {
            passed: Duration::ZERO,
            wall: self.spec.wall,
        }
    }

    /// Where its clocks stand.
    pub(crate) fn clock(&self) -> Moment {
        *self.clock.lock().unwrap()
    }

    /// Numbers in the order in which they were let in.
    pub(crate) fn order(&self) -> Vec<u32> {
        self.order.lock().unwrap().clone()
    }

    /// Asks, and does not wait.
    pub(crate) fn begin(&self, ask: Ask) -> Result<u32, Stopped> {
        self.effects().begin(ask)
    }

    /// Waits until that effect is let in; others are let in meanwhile.
    pub(crate) async fn wait(&self, seq: u32) -> Result<Got, Stopped> {
        loop {
            let mut let_in = self.let_in.lock().await;
            if let Some(got) = let_in.remove(&seq) {
                return Ok(got);
            }
            let delivery = self.effects().next().await?;
            *self.clock.lock().unwrap() = delivery.at;
            self.order.lock().unwrap().push(delivery.seq);
            let_in.insert(delivery.seq, delivery.got);
        }
    }

    /// Asks and waits.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Got, Stopped> {
        let seq = self.begin(ask)?;
        self.wait(seq).await
    }

    /// One exchange: the status, or 0 when no answer came.
    pub(crate) async fn http(&self, method: &str, service: &str, path: &str) -> Result<u16, Stopped> {
        let got = self.ask(http(method, service, path, "{}")).await?;
        Ok(status_of(&got))
    }

    pub(crate) async fn get(&self, service: &str, path: &str) -> Result<u16, Stopped> {
        self.http("GET", service, path).await
    }

    pub(crate) async fn post(&self, service: &str, path: &str) -> Result<u16, Stopped> {
        self.http("POST", service, path).await
    }

    /// Waits for time.
    pub(crate) async fn sleep(&self, after: Duration) -> Result<(), Stopped> {
        let got = self.ask(Ask::Timer { after }).await?;
        assert_eq!(got, Got::Timer);
        Ok(())
    }

    /// Calls the function `run` of another tool.
    pub(crate) async fn call(&self, tool: &str, input: &str) -> Result<Called, Stopped> {
        let target = Target::Named {
            tool: tool.to_owned(),
            function: "run".to_owned(),
        };
        let ask = Ask::Call {
            target,
            input: input.to_owned(),
        };
        match self.ask(ask).await? {
            Got::Call(called) => Ok(called),
            other => panic!("a call got {other:?}"),
        }
    }
}

/// A request to `http://SERVICE.test`.
pub(crate) fn http(method: &str, service: &str, path: &str, body: &str) -> Ask {
    Ask::Http(GuestRequest {
        tls: false,
        authority: format!("{service}.test"),
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    })
}

/// The status that a guest got, or 0 when no answer came.
pub(crate) fn status_of(got: &Got) -> u16 {
    match got {
        Got::Http(Ok(answer)) => answer.status,
        Got::Http(Err(_)) => 0,
        other => panic!("an exchange got {other:?}"),
    }
}

/// Asks, and waits alone: what else is let in meanwhile is lost.
pub(crate) async fn ask(effects: &dyn Effects, ask: Ask) -> Result<Got, Stopped> {
    let seq = effects.begin(ask)?;
    loop {
        let delivery = effects.next().await?;
        if delivery.seq == seq {
            return Ok(delivery.got);
        }
    }
}
