//! Effects that may not be repeated and that nobody can answer for: never sent twice, always told to a person.

use crate::site::{Ran, Site};
use fusebox_simulator::{Fault, ResetAt, Service};
use serde_json::{Value, json};

fn mail() -> Value {
    json!({ "to": "ann@example.com", "subject": "Hello", "body": "Once is enough" })
}

/// The letter of a run in doubt, which no replay in any form may touch.
#[track_caller]
fn in_doubt(site: &Site, ran: &Ran) -> Value {
    assert_eq!(ran.code, 15, "{}", ran.shown());
    let id = ran.letter();
    let letter = site.letter(&id);
    assert_eq!(letter["kind"], "in-doubt");
    assert_eq!(letter["run"]["state"], "in-doubt");
    let requests = site.requests(Service::Mail).len();
    let replay = site
        .fusebox(&["dlq", "replay", &id, "--from-start", "--json"])
        .exits(15);
    assert_eq!(replay.json()["error"]["code"], "in-doubt");
    assert_eq!(site.requests(Service::Mail).len(), requests);
    letter
}

#[test]
fn case_66_a_504_on_a_post_is_in_doubt_and_not_replayed() {
    let site = Site::deployed(&["email"]);
    site.fault(Service::Mail, Fault::ExecuteThenStatus(504), Some(1));
    let ran = site.call("email.send", &mail());
    let letter = in_doubt(&site, &ran);
    assert_eq!(letter["run"]["in-doubt"], json!([1]));
    assert_eq!(letter["run"]["attempts"][0]["effects"][0]["in-doubt"], true);
    assert_eq!(site.requests(Service::Mail).len(), 1);
    assert_eq!(site.upstreams().mails().len(), 1);
}

#[test]
fn every_way_to_lose_the_answer_of_a_post_is_in_doubt_after_one_request() {
    for fault in [
        Fault::ExecuteThenReset,
        Fault::Reset(ResetAt::MidBody),
        Fault::Reset(ResetAt::BeforeAnswer),
        Fault::Status {
            status: 503,
            retry_after: None,
            body: None,
        },
        Fault::LieLength(10),
        Fault::Hang,
    ] {
        let site = Site::new();
        site.deploy_with(
            "email",
            &[("[services.mail]\n", "[services.mail]\ntimeout = \"500ms\"\n")],
        );
        site.fault(Service::Mail, fault.clone(), Some(1));
        let ran = site.call("email.send", &mail());
        in_doubt(&site, &ran);
        assert_eq!(site.requests(Service::Mail).len(), 1, "{fault:?}");
    }
}

#[test]
fn a_429_is_proof_that_no_mail_was_sent() {
    let site = Site::deployed(&["email"]);
    site.status(Service::Mail, 429, Some(1));
    let ran = site.call("email.send", &mail()).exits(13);
    assert_eq!(ran.json()["error"]["class"], "throttled");
    assert_eq!(site.upstreams().mails().len(), 0);
    assert_eq!(site.requests(Service::Mail).len(), 1);
}

/// What a run kept of a call that trapped with posts in flight.
struct Trapped {
    ran: Ran,
    letter: Value,
    /// The answers of its posts.
    answers: Vec<String>,
}

/// An effect that the end of its attempt came before.
const TOO_LATE: &str = "not-sent: the attempt ended";

/// Calls the guest that makes two posts at once and traps. On a busy machine it may trap before they are sent, so it has a few tries;
/// at least one post is in flight at the end of the one that counts.
#[track_caller]
fn trap_in_flight(site: &Site, fault: &Fault) -> Trapped {
    let input = json!({ "upstream": "mail", "path": "/v1/messages", "body": mail().to_string() });
    let mut last = None;
    for _ in 0..8 {
        site.heal(Service::Mail);
        site.fault(Service::Mail, fault.clone(), Some(2));
        site.fusebox(&["breakers", "reset", "tool:faulty"]).exits(0);
        site.fusebox(&["breakers", "reset", "faulty/mail"]).exits(0);
        let before = site.requests(Service::Mail).len();
        let ran = site.call("faulty.trap-in-flight", &input);
        let sent = site.requests(Service::Mail).len() - before;
        assert_eq!(
            site.upstreams().mails().len(),
            before + sent,
            "each request was waited for"
        );
        let letter = site.letter(&ran.letter());
        let effects = letter["run"]["attempts"][0]["effects"].as_array().unwrap();
        let answers: Vec<_> = effects
            .iter()
            .map(|effect| effect["answer"].as_str().unwrap().to_owned())
            .collect();
        let said = answers.iter().filter(|answer| *answer != TOO_LATE).count();
        assert_eq!(sent, said, "what was sent is on record, and nothing else is said to be");
        if sent > 0 {
            last = Some(Trapped { ran, letter, answers });
        }
        if sent == 2 {
            break;
        }
    }
    last.expect("the guest trapped too soon each time")
}

#[test]
fn case_65_posts_in_flight_when_the_guest_traps_are_waited_for_and_in_doubt() {
    let site = Site::deployed(&["faulty"]);
    let trapped = trap_in_flight(&site, &Fault::ExecuteThenReset);
    in_doubt(&site, &trapped.ran);
    let lost: Vec<_> = (1..)
        .zip(&trapped.answers)
        .filter(|(_, answer)| *answer == "lost: reset")
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(trapped.letter["run"]["in-doubt"], json!(lost));
    assert!(
        trapped
            .answers
            .iter()
            .all(|answer| answer == "lost: reset" || answer == TOO_LATE)
    );
}

#[test]
fn case_65_posts_in_flight_that_were_answered_leave_the_guests_fault() {
    let site = Site::deployed(&["faulty"]);
    let trapped = trap_in_flight(&site, &Fault::Delay(400));
    // A post that came too late is not why the guest trapped.
    assert_eq!(trapped.ran.code, 21, "{}", trapped.ran.shown());
    assert_eq!(trapped.letter["kind"], "known-bad");
    assert!(
        trapped
            .answers
            .iter()
            .all(|answer| answer == "202" || answer == TOO_LATE),
        "{:?}",
        trapped.answers
    );
    assert_eq!(trapped.letter["run"]["in-doubt"], Value::Null);
    // The run did something that may not be repeated, so a replay from its start is refused.
    let mails = site.upstreams().mails().len();
    site.fusebox(&["dlq", "replay", &trapped.ran.letter(), "--from-start"])
        .exits(11);
    assert_eq!(site.upstreams().mails().len(), mails);
}

#[test]
fn a_success_over_an_effect_in_doubt_says_so() {
    let site = Site::deployed(&["faulty"]);
    site.fault(Service::Mail, Fault::ExecuteThenReset, Some(1));
    let input = json!({ "upstream": "mail", "path": "/v1/messages", "body": mail().to_string() });
    let ran = site.call("faulty.ignore-failure", &input).exits(0);
    assert_eq!(ran.json()["output"], "done");
    assert_eq!(ran.json()["in-doubt"], json!([1]));
    let run = site.run(ran.json()["run"].as_str().unwrap());
    assert_eq!(
        (run["state"].as_str(), &run["in-doubt"]),
        (Some("succeeded"), &json!([1]))
    );
    assert_eq!(site.upstreams().mails().len(), 1);
}

#[test]
fn case_67_a_fallback_is_judged_by_what_failed_last() {
    let site = Site::deployed(&["faulty"]);
    site.status(Service::Search, 503, None);
    site.status(Service::Llm, 404, None);
    let input = json!({
        "first": "search", "first-path": "/v1/query?q=a", "second": "llm", "second-path": "/v1/models"
    });
    let ran = site.call("faulty.fallback", &input);
    // The second answered, the first did not: the failed effect that nobody has answered since is the first.
    assert_eq!(ran.code, 13, "{}", ran.shown());
    assert_eq!(ran.json()["error"]["service"], "search");
    site.heal(Service::Search);
    site.fusebox(&["breakers", "reset", "faulty/search"]).exits(0);
    site.call("faulty.fallback", &input).exits(0);
}
