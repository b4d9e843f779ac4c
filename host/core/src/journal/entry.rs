//! One effect as the journal holds it: what it proves, what protects it, and whether the guest asks for the same again.

use crate::classify::{did_not_happen, has_failed, is_in_doubt};
use crate::effect::{Answer, Effect, Kind};
use crate::failure::Class;

/// One effect as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was asked, and what came of it. `repeatable` is as of now: a key whose lifetime is over protects nobody.
    pub effect: Effect,
    /// Numbers that were let in to the guest since it asked for the effect before this one.
    pub saw: Vec<u32>,
    /// When it settled among the run's effects, from 1; set where `effect.answer` is. `None`: an intent, or in flight.
    pub order: Option<u32>,
    /// Whether its key alone lets it be repeated: neither its method nor the service's word does.
    pub by_key: bool,
    /// Whether it was sent before this time too, and nobody knows what became of that (`Cut::reopen`). That it could not be sent this time
    /// proves nothing then: only its key protects it.
    pub resent: bool,
}

impl Entry {
    /// Its number.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.effect.seq
    }

    /// Whether it has an answer that the guest can be served.
    pub(super) fn is_settled(&self) -> bool {
        self.order.is_some() && !matches!(self.effect.answer, None | Some(Answer::Cancelled))
    }

    /// Whether the attempt ended before it was sent for the first time.
    pub(super) fn was_never_sent(&self) -> bool {
        self.effect.answer == Some(Answer::Cancelled) && !self.resent
    }

    /// Whether the attempt ended before it was sent once more.
    pub(super) fn was_held_back(&self) -> bool {
        self.effect.answer == Some(Answer::Cancelled) && self.resent
    }

    /// Whether the guest was, or would be, served a failure that making it again may mend, or that is in doubt. An answer that failed and
    /// may not be repeated is an answer. A nested call fails in any class but the caller's: its run may have been mended meanwhile.
    pub(super) fn has_failed(&self) -> bool {
        match self.effect.answer {
            _ if !self.is_settled() => false,
            Some(Answer::Failed { class, .. }) if self.effect.kind == Kind::Call => class != Class::Caller,
            _ => has_failed(&self.effect) && (self.may_be_repeated() || self.is_in_doubt()),
        }
    }

    /// Whether nobody may repeat it and nobody knows what became of it.
    pub(super) fn is_in_doubt(&self) -> bool {
        match self.effect.kind {
            Kind::Http if self.was_never_sent() => false,
            Kind::Http if !self.is_settled() => !self.effect.repeatable,
            Kind::Http if self.resent => has_failed(&self.effect) && !self.effect.repeatable,
            Kind::Http => is_in_doubt(&self.effect),
            Kind::Call | Kind::Timer | Kind::Read | Kind::Write | Kind::Approval => false,
        }
    }

    /// Whether it may be forgotten: it changed nothing, or did not happen. What is not settled may yet happen.
    pub(super) fn is_harmless(&self) -> bool {
        self.was_never_sent() || (self.is_settled() && (self.effect.safe || self.did_not_happen()))
    }

    /// Whether only its key, or its child's, makes it the same effect when it is made again: it was sent, and may have happened.
    pub(super) fn needs_its_key(&self) -> bool {
        match self.effect.kind {
            Kind::Http => self.by_key && !self.did_not_happen(),
            Kind::Call => !self.effect.repeatable && !self.did_not_happen(),
            Kind::Timer | Kind::Read | Kind::Write | Kind::Approval => false,
        }
    }

    /// Whether it happened, or may have, and a second one would be one too many. A person may be asked twice.
    pub(super) fn may_not_happen_twice(&self) -> bool {
        match self.effect.kind {
            Kind::Http | Kind::Call | Kind::Write => !self.effect.safe && !self.may_be_repeated(),
            Kind::Timer | Kind::Read | Kind::Approval => false,
        }
    }

    fn may_be_repeated(&self) -> bool {
        self.effect.repeatable || self.did_not_happen()
    }

    /// Whether there is proof that nothing happened.
    fn did_not_happen(&self) -> bool {
        !self.resent && did_not_happen(&self.effect)
    }
}

/// What a guest asked differs from what the journal holds at that number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("effect {seq} is {journal} in the journal, and now {asked} was asked for")]
pub struct Diverged {
    /// The first number that differs.
    pub seq: u32,
    /// What the journal holds: `POST /v1/transfers`.
    pub journal: String,
    /// What was asked for.
    pub asked: String,
}

/// Whether the guest asks for what the journal holds; `asked` is looked at for its kind, method, path and request digest.
///
/// # Errors
/// [`Diverged`] with both.
pub fn matches(entry: &Entry, asked: &Effect) -> Result<(), Diverged> {
    let held = &entry.effect;
    if held.kind == asked.kind
        && held.request == asked.request
        && held.method == asked.method
        && held.path == asked.path
    {
        return Ok(());
    }
    let (journal, mut now) = (in_words(held), in_words(asked));
    if journal == now {
        now.push_str(match held.kind {
            Kind::Http => " with another body, other headers or another host",
            Kind::Call | Kind::Timer | Kind::Read | Kind::Write | Kind::Approval => " with other arguments",
        });
    }
    Err(Diverged {
        seq: entry.seq(),
        journal,
        asked: now,
    })
}

/// `POST /v1/transfers`; where method and path do not tell, the kind.
fn in_words(effect: &Effect) -> String {
    match (effect.kind, effect.path.as_str()) {
        (Kind::Http | Kind::Call, path) => format!("{} {path}", effect.method),
        (kind, "") => format!("{} ({})", effect.method, kind.name()),
        (kind, path) => format!("{} {path} ({})", effect.method, kind.name()),
    }
}
