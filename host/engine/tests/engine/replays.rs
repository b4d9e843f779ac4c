//! Replays against each other, against hosts that die, and against keys that end.

use crate::world::*;
use async_trait::async_trait;
use fusebox_core::effect::NotSent;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::{Approval, Idempotency, ServicePolicy};
use fusebox_engine::host::Host;
use fusebox_engine::ports::authorizer::{Authorizer, Decision, Listing, Question};
use fusebox_engine::requests::{Begin, Caller, Replay};
use fusebox_engine::testing::scripted_transport::{not_sent, status};
use std::sync::Arc;
use std::time::Duration;

/// A keyed tool that posts to a bank and then asks `a`, which is down. The bank refuses the first request, and so there is a letter.
async fn refused_at(bank: ServicePolicy) -> World {
    let world = World::answering(|number, request| match (number, request.origin.host.as_str()) {
        (1, _) => not_sent(NotSent::Refused),
        (_, "bank.test") => status(200),
        _ => status(503),
    })
    .await;
    let mut down = service("a");
    down.breaker.failure_threshold = None;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![bank, down]),
            |_, spec| async move {
                for (method, service) in [("POST", "bank"), ("GET", "a")] {
                    match request(spec.effects.as_ref(), method, service).await {
                        Ok(answer) if answer.status == 200 => {}
                        _ => return err(),
                    }
                }
                ok()
            },
        )
        .await;
    assert_eq!(world.keyed("pay", "k", "{}").await.unwrap_err().class, Class::NotSent);
    world
}

fn posts(world: &World) -> usize {
    let sent = world.transport.sent();
    // The first was refused before a byte was written.
    sent.iter().filter(|request| request.method == "POST").count() - 1
}

/// Allows everything, after a while.
struct Thoughtful(Duration);

#[async_trait]
impl Authorizer for Thoughtful {
    async fn decide(&self, _question: &Question<'_>) -> Decision {
        sleep(self.0.as_secs()).await;
        Decision::Allow
    }

    fn may_list(&self, _listing: &Listing<'_>) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn case_43_a_replay_that_looked_before_another_one_sent_does_not_send_again() {
    let world = refused_at(service("bank")).await;
    let letter = world.letter().await;
    let mut ports = ports(
        &world.store,
        &world.clock,
        &world.sandbox,
        &world.policies,
        &world.transport,
        2,
    );
    ports.authorizer = Arc::new(Thoughtful(Duration::from_secs(10)));
    let slow = Host::start(ports, world.settings.clone()).await.unwrap();
    let replay = Replay {
        letter: letter.id.clone(),
        deadline: None,
        from: Begin::Start,
        repeat: Vec::new(),
        component: None,
        dry_run: false,
    };
    let caller = Caller::local();
    let (second, first) = tokio::join!(slow.replay(&caller, replay), world.replay(&letter));
    assert_eq!(first.unwrap_err().class, Class::Transient);
    assert_eq!(second.unwrap_err().code, Code::Denied);
    assert_eq!(posts(&world), 1);
    let after = world.letter().await;
    assert_eq!((after.state.as_str(), after.replays), ("open", 1), "given back");
}

#[tokio::test(start_paused = true)]
async fn case_61_a_replay_that_sends_nothing_does_not_free_the_key_of_what_was_sent_before() {
    let world = World::answering(|_, _| status(503)).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![honouring("bank")]),
            |attempt, spec| async move {
                let service = if attempt == 2 { "nowhere" } else { "bank" };
                let _ = request(spec.effects.as_ref(), "POST", service).await;
                err()
            },
        )
        .await;
    assert_eq!(world.keyed("pay", "k", "{}").await.unwrap_err().class, Class::Transient);
    let letter = world.letter().await;
    assert_eq!(world.replay(&letter).await.unwrap_err().code, Code::Denied);
    world.host.purge(&Caller::local(), &[letter.id]).await.unwrap();
    let stored = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!((stored.code, stored.run), (Code::Denied, Some(letter.run.id)));
    assert_eq!(world.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replay_asks_a_person_where_the_call_would_have() {
    let world = World::answering(|_, _| status(503)).await;
    let mut policy = tool("find", Idempotency::Readonly, 1, vec![service("a")]);
    world.deploy(policy.clone(), asks("GET", "a")).await;
    world.call("find").await.unwrap_err();
    let letter = world.letter().await;
    policy.default_function.approval = Approval::Required;
    world.policies.set("find", policy);
    // A host that has not lowered the manifest yet does so under the operator's settings of today.
    let strict = world.another(Arc::clone(&world.store), 2).await;
    assert_eq!(strict.replay(&letter).await.unwrap_err().code, Code::NeedsApproval);
    assert_eq!(world.transport.sent().len(), 1);
}
