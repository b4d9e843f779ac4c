//! Calls that are not over in time: who is told what, who may ask, and who joins.

use super::agent::{Agent, failed};
use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};

fn mail() -> Value {
    json!({ "to": "ann@example.com", "subject": "Hello", "body": "May I?" })
}

/// A site where sending mail needs a person.
fn asking() -> Site {
    let site = Site::new();
    site.deploy_with(
        "email",
        &[("[functions.send]\n", "[functions.send]\napproval = \"required\"\n")],
    );
    site
}

#[test]
fn a_call_that_lasts_names_its_run_and_the_same_call_joins_it() {
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Delay(3_000), Some(1));
    let mut agent = Agent::introduced(&site);
    let text = json!({ "text": "wasm" });
    let body = failed(&agent.call_with("search_query", &text, json!({ "fusebox/wait-ms": 200 })));
    assert_eq!(body["code"], "not-over");
    assert!(
        body["what_to_do"].as_str().unwrap().contains("fusebox_result"),
        "{body}"
    );
    let run = body["run"].as_str().unwrap().to_owned();

    let early = agent.call("fusebox_result", &json!({ "run": run }));
    assert_eq!(early["isError"], false, "{early}");
    assert_eq!(early["structuredContent"]["state"], "not-over");

    let joined = agent.call("search_query", &text);
    assert_eq!(joined["_meta"]["fusebox/run"], run.as_str());
    assert_eq!(joined["_meta"]["fusebox/joined"], true);
    assert_eq!(site.requests(Service::Search).len(), 1, "it ran once");

    let asked = agent.call("fusebox_result", &json!({ "run": run, "wait": 30 }));
    assert_eq!(asked["structuredContent"], joined["structuredContent"]);
    // Over is over: the same call is a new one.
    let new = agent.call("search_query", &text);
    assert_ne!(new["_meta"]["fusebox/run"], run.as_str());
    assert_eq!(site.requests(Service::Search).len(), 2);
}

#[test]
fn other_arguments_or_a_key_join_nothing() {
    let site = Site::deployed(&["search"]);
    site.fault(Service::Search, Fault::Delay(2_000), Some(1));
    let mut agent = Agent::introduced(&site);
    failed(&agent.call_with(
        "search_query",
        &json!({ "text": "wasm" }),
        json!({ "fusebox/wait-ms": 100 }),
    ));
    eventually("the first is in flight", || site.requests(Service::Search).len() == 1);
    let other = agent.call("search_query", &json!({ "text": "wit" }));
    assert!(other["_meta"].get("fusebox/joined").is_none());
    let keyed = json!({ "fusebox/idempotency-key": "k" });
    let keyed = agent.call_with("search_query", &json!({ "text": "wasm" }), keyed);
    assert!(keyed["_meta"].get("fusebox/joined").is_none());
    assert_eq!(site.requests(Service::Search).len(), 3);
}

#[test]
fn an_approval_is_waited_for_and_never_given_here() {
    let site = asking();
    let mut agent = Agent::introduced(&site);
    let body = failed(&agent.call("email_send", &mail()));
    assert_eq!(body["code"], "needs-approval");
    let (run, approval) = (body["run"].as_str().unwrap(), body["approval"].as_str().unwrap());
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains(&format!("/v1/approvals/{approval}")),
        "{body}"
    );
    assert!(body["what_to_do"].as_str().unwrap().contains("you cannot"), "{body}");
    let early = agent.call("fusebox_result", &json!({ "run": run }));
    assert!(
        early["structuredContent"]["waits_for"]
            .as_str()
            .unwrap()
            .contains(approval),
        "{early}"
    );
    assert_eq!(site.upstreams().mails().len(), 0);

    // The same call again asks nobody twice.
    let again = agent.call("email_send", &mail());
    assert_eq!(again["_meta"]["fusebox/joined"], true, "{again}");
    let again = failed(&again);
    assert_eq!((&again["run"], &again["approval"]), (&body["run"], &body["approval"]));
    assert_eq!(site.runs().len(), 1);

    site.fusebox(&["approvals", "approve", approval]).exits(0);
    let sent = agent.call("fusebox_result", &json!({ "run": run, "wait": 30 }));
    assert_eq!(sent["isError"], false, "{sent}");
    assert_eq!(site.upstreams().mails().len(), 1);
}

#[test]
fn what_is_in_doubt_or_in_a_letter_is_not_done_again_for_being_asked_again() {
    let site = Site::deployed(&["email"]);
    site.fault(Service::Mail, Fault::ExecuteThenReset, Some(1));
    let mut agent = Agent::introduced(&site);
    let doubt = failed(&agent.call("email_send", &mail()));
    assert_eq!(doubt["code"], "in-doubt");
    let again = failed(&agent.call("email_send", &mail()));
    assert_eq!((&again["run"], &again["letter"]), (&doubt["run"], &doubt["letter"]));
    assert_eq!(again["joined"], true);
    // Nor by another server, after the first has ended.
    assert!(agent.end().success());
    let mut next = Agent::introduced(&site);
    let again = failed(&next.call("email_send", &mail()));
    assert_eq!(again["run"], doubt["run"]);
    assert_eq!(site.upstreams().mails().len(), 1);
    // Whoever means another mail says so.
    let key = json!({ "fusebox/idempotency-key": "another" });
    assert_eq!(next.call_with("email_send", &mail(), key)["isError"], false);
    assert_eq!(site.upstreams().mails().len(), 2);
}

#[test]
fn who_repeats_a_call_after_a_hang_up_gets_the_first_outcome_once() {
    let site = Site::deployed(&["email"]);
    site.fault(Service::Mail, Fault::Delay(1_500), Some(1));
    let mut agent = Agent::introduced(&site);
    let body = failed(&agent.call_with("email_send", &mail(), json!({ "fusebox/wait-ms": 100 })));
    assert_eq!(body["code"], "not-over");
    eventually("the run is over", || site.runs()[0]["state"] == "succeeded");
    let again = agent.call("email_send", &mail());
    assert_eq!(again["_meta"]["fusebox/joined"], true, "{again}");
    assert_eq!(again["_meta"]["fusebox/run"], body["run"]);
    assert_eq!(site.upstreams().mails().len(), 1);
    let new = agent.call("email_send", &mail());
    assert!(new["_meta"].get("fusebox/joined").is_none(), "{new}");
    assert_eq!(site.upstreams().mails().len(), 2);
}

#[test]
fn a_run_of_somebody_else_is_as_good_as_absent() {
    let site = Site::deployed(&["search"]);
    let run = site.call("search.query", &json!({ "text": "wasm" })).exits(0).json()["run"].clone();
    let mut agent = Agent::introduced(&site);
    let body = failed(&agent.call("fusebox_result", &json!({ "run": run })));
    assert_eq!(body["code"], "not-found");
    let body = failed(&agent.call("fusebox_result", &json!({ "run": "run_01jd4m9q7gk0v3x8w2h5t6y1ze" })));
    assert_eq!(body["code"], "not-found");
}
