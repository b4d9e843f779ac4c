//! People who are asked first: what they said, of what, and for how long.

use crate::world::*;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::policy::{Approval, Idempotency, ToolGrant, ToolPolicy};
use fusebox_engine::ports::sandbox::{Ask, Called, Got};
use fusebox_engine::ports::store::{ApprovalFilter, Verdict};
use fusebox_engine::records::ApprovalRecord;
use fusebox_engine::requests::{Call, Caller};
use fusebox_engine::testing::scripted_transport::status;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOURS: i64 = 3_600_000;

fn verdict(approved: bool) -> Verdict {
    Verdict {
        approved,
        by: "Ann".to_owned(),
        reason: Some("as agreed".to_owned()),
    }
}

async fn pending(world: &World) -> Vec<ApprovalRecord> {
    let filter = ApprovalFilter::default();
    world.host.approvals(&Caller::local(), &filter).await.unwrap()
}

/// What a caller is told whose run waits for a person: the run, and the question.
fn waits(failure: &Failure) {
    assert_eq!(failure.code, Code::NeedsApproval, "{failure:#?}");
    assert!(failure.run.is_some() && failure.approval.is_some(), "{failure:#?}");
}

/// A payment that a person is asked about first.
async fn asking() -> World {
    let world = World::answering(|_, _| status(200)).await;
    let mut policy = tool("pay", Idempotency::Keyed, 1, vec![service("bank")]);
    policy.default_function.approval = Approval::Required;
    policy.default_function.deadline = Duration::from_secs(60);
    world.deploy(policy, asks("POST", "bank")).await;
    world
}

#[tokio::test(start_paused = true)]
async fn case_73_approved_after_two_hours_a_call_of_sixty_seconds_runs() {
    let world = asking().await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    waits(&failure);
    assert!(world.sent().is_empty());
    let run = world.last_run().await.unwrap();
    assert_eq!(
        (run.state.as_str(), run.approval.as_ref()),
        ("suspended", failure.approval.as_ref())
    );
    world.clock.turn_wall(2 * HOURS);
    // Nothing happens by itself.
    world.serve_for(Duration::from_secs(5)).await;
    assert!(world.sent().is_empty());
    let other = world.another(Arc::clone(&world.store), 2).await;
    let caller = Caller::local();
    let id = failure.approval.unwrap();
    let decided = other.host.decide(&caller, &id, verdict(true)).await.unwrap();
    assert_eq!(
        (decided.state.as_str(), decided.by.as_deref()),
        ("approved", Some("Ann"))
    );
    other.serve_for(Duration::from_secs(5)).await;
    let run = world.host.run(&caller, &run.id).await.unwrap();
    assert_eq!((run.state.as_str(), run.recoveries), ("succeeded", 0), "{run:#?}");
    assert_eq!(world.sent().len(), 1);
    assert_eq!(world.host.approval(&caller, &id).await.unwrap().state, "used");
    assert!(world.keyed("pay", "k", "{}").await.unwrap().stored);
}

#[tokio::test(start_paused = true)]
async fn a_person_s_own_process_may_go_on_with_what_was_decided() {
    let world = asking().await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    let caller = Caller::local();
    let run = failure.run.unwrap();
    let early = world.host.resume(&caller, &run).await.unwrap_err();
    assert_eq!(early.class, Class::Caller, "{early:#?}");
    let id = failure.approval.unwrap();
    world.host.decide(&caller, &id, verdict(true)).await.unwrap();
    world.host.resume(&caller, &run).await.unwrap();
    assert_eq!(world.sent().len(), 1);
    world.host.decide(&caller, &id, verdict(false)).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn case_74_declined_and_asked_again_with_the_same_key_is_declined() {
    let world = asking().await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    let caller = Caller::local();
    world
        .host
        .decide(&caller, &failure.approval.unwrap(), verdict(false))
        .await
        .unwrap();
    let declined = world
        .host
        .resume(&caller, &failure.run.clone().unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        (declined.class, &declined.letter),
        (Class::Control, &None),
        "{declined:#?}"
    );
    assert!(declined.message.contains("as agreed"), "{}", declined.message);
    let again = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!((again.code, again.run), (declined.code, failure.run));
    assert!(again.message.contains("stored outcome"), "{}", again.message);
    assert!(pending(&world).await.is_empty() && world.sent().is_empty());
    // Another key is another call.
    waits(&world.keyed("pay", "other", "{}").await.unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn case_51_an_approval_that_came_too_late_starts_nothing() {
    let world = asking().await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    let caller = Caller::local();
    let id = failure.approval.unwrap();
    let expires = world.host.approval(&caller, &id).await.unwrap().expires;
    let now = world.last_run().await.unwrap().created;
    world.clock.turn_wall(expires - now + 1);
    world.host.decide(&caller, &id, verdict(true)).await.unwrap_err();
    world.serve_for(Duration::from_secs(5)).await;
    let run = world.last_run().await.unwrap();
    assert_eq!((run.state.as_str(), run.letter), ("failed", None));
    assert_eq!(world.host.approval(&caller, &id).await.unwrap().state, "expired");
    assert!(world.sent().is_empty());
    let again = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert!(again.message.contains("stored outcome"), "{}", again.message);
}

#[tokio::test(start_paused = true)]
async fn case_52_two_questions_do_not_swap_their_answers() {
    let world = asking().await;
    let one = world.keyed("pay", "1", "{\"to\":1}").await.unwrap_err();
    let two = world.keyed("pay", "2", "{\"to\":2}").await.unwrap_err();
    let mut inputs: Vec<_> = pending(&world).await.into_iter().map(|asked| asked.input).collect();
    inputs.sort();
    assert_eq!(inputs, ["{\"to\":1}", "{\"to\":2}"]);
    let caller = Caller::local();
    world
        .host
        .decide(&caller, &two.approval.unwrap(), verdict(true))
        .await
        .unwrap();
    world
        .host
        .decide(&caller, &one.approval.unwrap(), verdict(false))
        .await
        .unwrap();
    world.serve_for(Duration::from_secs(5)).await;
    let state = async |run| world.host.run(&caller, &run).await.unwrap().state;
    assert_eq!(state(one.run.unwrap()).await, "failed");
    assert_eq!(state(two.run.unwrap()).await, "succeeded");
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_61_a_key_that_is_repeated_while_its_run_waits_for_a_person_joins_that_run() {
    let world = asking().await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    let joined = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!(
        (joined.code, &joined.run),
        (Code::KeyInUse, &failure.run),
        "{joined:#?}"
    );
    assert_eq!(pending(&world).await.len(), 1);
    // One that waits gets the outcome.
    let waiting = Call {
        wait: Some(Duration::from_secs(60)),
        ..keyed("pay", "k", "{}")
    };
    let waiting = world.calling(waiting);
    world
        .host
        .decide(&Caller::local(), &failure.approval.unwrap(), verdict(true))
        .await
        .unwrap();
    world.serve_for(Duration::from_secs(5)).await;
    assert!(
        waiting.await.unwrap().is_ok_and(|reply| reply.stored) || world.keyed("pay", "k", "{}").await.unwrap().stored
    );
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_26_a_run_that_waits_for_a_person_is_cancelled_with_its_question() {
    let world = asking().await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    let caller = Caller::local();
    world.host.cancel(&caller, &failure.run.unwrap()).await.unwrap();
    world
        .host
        .decide(&caller, &failure.approval.unwrap(), verdict(true))
        .await
        .unwrap_err();
    world.serve_for(Duration::from_secs(60)).await;
    assert_eq!(world.last_run().await.unwrap().state, "cancelled");
    assert!(world.sent().is_empty());
}

/// An agent that notes, and mails what it is told to in each attempt; a person is asked before the mail.
async fn interrupted(inputs: [&'static str; 2]) -> World {
    let world = World::answering(|_, _| status(200)).await;
    for name in ["note", "mail"] {
        let policy = tool(name, Idempotency::NonIdempotent, 1, vec![service(name)]);
        world
            .guest(policy, move |guest| async move {
                guest.post(name, "/do").await?;
                Ok(ok())
            })
            .await;
    }
    let grant = |tool: &str| ToolGrant {
        tool: tool.to_owned(),
        function: None,
    };
    let policy = ToolPolicy {
        agent: true,
        tools: vec![grant("note"), grant("mail")],
        interrupt_before: vec![("mail".to_owned(), "run".to_owned())],
        ..tool("agent", Idempotency::NonIdempotent, 1, Vec::new())
    };
    world
        .guest(policy, move |guest| async move {
            guest.call("note", "{}").await?;
            let input = inputs[usize::from(guest.attempt > 1)];
            match guest.call("mail", input).await? {
                Called::Ok(_) => Ok(ok()),
                Called::Err { .. } | Called::Failed { .. } => Ok(err()),
            }
        })
        .await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_run_is_interrupted_before_a_call_and_goes_on_there_on_any_host() {
    let world = interrupted(["{\"a\":1}"; 2]).await;
    let failure = world.call("agent").await.unwrap_err();
    waits(&failure);
    let asked = pending(&world).await.remove(0);
    assert_eq!((asked.tool.as_str(), asked.input.as_str()), ("mail", "{\"a\":1}"));
    let caller = Caller::local();
    world.host.decide(&caller, &asked.id, verdict(true)).await.unwrap();
    let other = world.another(Arc::clone(&world.store), 2).await;
    other.serve_for(Duration::from_secs(5)).await;
    let run = world.last_run().await.unwrap();
    assert_eq!(run.state, "succeeded", "{run:#?}");
    assert_eq!(world.sent(), ["POST note /do", "POST mail /do"]);
    let outcomes: Vec<_> = run.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(outcomes, ["suspended", "ok"]);
}

#[tokio::test(start_paused = true)]
async fn case_51_an_approval_is_for_the_arguments_that_were_shown() {
    let world = interrupted(["{\"to\":\"Ann\"}", "{\"to\":\"Bob\"}"]).await;
    let failure = world.call("agent").await.unwrap_err();
    waits(&failure);
    let caller = Caller::local();
    world
        .host
        .decide(&caller, &failure.approval.unwrap(), verdict(true))
        .await
        .unwrap();
    world.serve_for(Duration::from_secs(60)).await;
    assert_eq!(world.sent(), ["POST note /do"]);
    let run = world.last_run().await.unwrap();
    assert_ne!(run.state, "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_declined_call_is_an_answer_to_its_caller() {
    let world = interrupted(["{}"; 2]).await;
    let failure = world.call("agent").await.unwrap_err();
    let caller = Caller::local();
    world
        .host
        .decide(&caller, &failure.approval.unwrap(), verdict(false))
        .await
        .unwrap();
    let ended = world.host.resume(&caller, &failure.run.unwrap()).await.unwrap_err();
    assert_eq!((ended.letter, ended.error.as_deref()), (None, Some("\"no\"")));
    assert_eq!(world.sent(), ["POST note /do"]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_asks_a_person_gets_the_answer_and_does_nothing_twice_meanwhile() {
    for approved in [true, false] {
        let world = World::answering(|_, _| status(200)).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let tells = Arc::clone(&told);
        world
            .guest(
                tool("ask", Idempotency::NonIdempotent, 1, vec![service("a")]),
                move |guest| {
                    let tells = Arc::clone(&tells);
                    async move {
                        guest.post("a", "/before").await?;
                        let asked = Ask::Approval {
                            question: "May I?".to_owned(),
                            details: "{\"sum\":5}".to_owned(),
                        };
                        let Got::Approval(answer) = guest.ask(asked).await? else {
                            panic!()
                        };
                        tells.lock().unwrap().push(answer);
                        guest.post("a", "/after").await?;
                        Ok(ok())
                    }
                },
            )
            .await;
        let failure = world.call("ask").await.unwrap_err();
        waits(&failure);
        let asked = pending(&world).await.remove(0);
        assert_eq!(
            (asked.question.as_str(), asked.input.as_str()),
            ("May I?", "{\"sum\":5}")
        );
        let caller = Caller::local();
        world.host.decide(&caller, &asked.id, verdict(approved)).await.unwrap();
        world.host.resume(&caller, &failure.run.unwrap()).await.unwrap();
        assert_eq!(world.sent(), ["POST a /before", "POST a /after"]);
        let told = told.lock().unwrap();
        assert_eq!((told.len(), told[0].is_ok()), (1, approved), "{told:?}");
    }
}
