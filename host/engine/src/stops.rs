//! What becomes of a run whose attempt was ended by the engine itself: it sleeps, is handed over, or its journal is not what its guest does.

use crate::attempt::Attempted;
use crate::effects::Stop;
use crate::ended::{Ended, Failed};
use crate::engine::Engine;
use crate::ports::fleet::Topic;
use crate::refusals;
use crate::rest::{self, Rested};
use crate::runs::Run;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::journal::Diverged;
use std::sync::Arc;

/// What becomes of the run.
pub(crate) enum Stopped {
    /// It goes on here.
    GoesOn,
    /// It does not.
    Over(Ended),
}

/// Deals with an attempt that was stopped.
pub(crate) async fn stopped(engine: &Arc<Engine>, run: &mut Run, attempted: Attempted, stop: Stop) -> Stopped {
    let ended = match stop {
        Stop::Diverged(diverged) | Stop::Short(diverged) => {
            let failure = differs(run, Code::Diverged, Class::Fault, &diverged);
            Ended::failed(run, attempted, failure)
        }
        Stop::Doubt(diverged) => {
            let failure = differs(run, Code::InDoubt, Class::InDoubt, &diverged);
            Ended::in_doubt(run, attempted, failure, diverged.seq)
        }
        Stop::TooMany(most) => {
            let message = format!(
                "{}.{} asked for more than {most} effects, which is all that is kept of one run",
                run.tool.policy.name, run.function.name
            );
            let failure = Failure::new(Code::Exhausted, Class::Exhausted, message);
            Ended::failed(run, attempted, failure)
        }
        Stop::Store(error) => {
            let failure = *refusals::store(
                "an effect could not be made durable, so the run cannot go on here",
                &error,
            );
            Ended::failed(run, attempted, failure)
        }
        Stop::Dry(_) => Ended::Dry,
        Stop::Sleep(until) => {
            let after = until.since(engine.ports.clock.wall());
            Failed::interrupted(run, attempted, "slept");
            match rest::wait(engine, run, after).await {
                Rested::Awake => return Stopped::GoesOn,
                Rested::Cancelled => Ended::refused(crate::failures::cancelled(run)),
                Rested::Elsewhere => Ended::Elsewhere,
                Rested::HandedOver => Ended::HandedOver,
                Rested::Lost(error) => Ended::refused(*refusals::store("the run could not be taken up again", &error)),
            }
        }
        Stop::Suspend(asked) => {
            Failed::interrupted(run, attempted, "suspended");
            Ended::Suspended(asked)
        }
        Stop::Drain => {
            Failed::interrupted(run, attempted, "handed over");
            let now = engine.ports.clock.wall();
            // Where that cannot be written its lease ends, and another host takes it over all the same.
            let left = run.deadline.since(engine.ports.clock.tick());
            if rest::let_go(engine, run, now, left).await {
                engine.ports.fleet.tell(Topic::Runs);
            }
            Ended::HandedOver
        }
    };
    Stopped::Over(ended)
}

/// The failure that a stop is for a replay that performs nothing.
pub(crate) fn failure_of(run: &Run, stop: &Stop) -> Box<Failure> {
    Box::new(match stop {
        Stop::Diverged(diverged) | Stop::Short(diverged) => differs(run, Code::Diverged, Class::Fault, diverged),
        Stop::Doubt(diverged) => differs(run, Code::InDoubt, Class::InDoubt, diverged),
        Stop::TooMany(_) | Stop::Suspend(_) | Stop::Sleep(_) | Stop::Drain | Stop::Dry(_) | Stop::Store(_) => {
            *refusals::internal("a replay that performs nothing was stopped by something that it performed")
        }
    })
}

fn differs(run: &Run, code: Code, class: Class, diverged: &Diverged) -> Failure {
    let of = format!("{}.{}", run.tool.policy.name, run.function.name);
    let message = match code {
        Code::InDoubt => format!(
            "effect {} of {of} was sent as {} before its host went, and is {} now: it is not sent in another form",
            diverged.seq, diverged.journal, diverged.asked
        ),
        _ => format!(
            "{of} differs from its journal at effect {}: the journal has {}, and it asked for {}",
            diverged.seq, diverged.journal, diverged.asked
        ),
    };
    Failure::new(code, class, message)
}
