//! Questions to a person, from the command line: a call that waits, and what comes of the person's answer.

use crate::site::{Ran, Site, eventually};
use fusebox_simulator::Service;
use serde_json::{Value, json};

fn mail() -> Value {
    json!({ "to": "ann@example.com", "subject": "Hello", "body": "May I?" })
}

/// A site where sending mail needs a person.
fn site() -> Site {
    let site = Site::new();
    site.deploy_with(
        "email",
        &[("[functions.send]\n", "[functions.send]\napproval = \"required\"\n")],
    );
    site
}

/// A call that waits: its run and the question.
#[track_caller]
fn asked(site: &Site) -> (String, String) {
    let ran = site.call("email.send", &mail()).exits(12);
    let error = &ran.json()["error"];
    assert_eq!(error["code"], "needs-approval");
    let text = |name: &str| {
        error[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {error}"))
            .to_owned()
    };
    (text("run"), text("approval"))
}

fn mails(site: &Site) -> usize {
    site.upstreams().mails().len()
}

#[track_caller]
fn says_in_turn(ran: &Ran, parts: &[&str]) {
    let mut rest = ran.stdout.as_str();
    for part in parts {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("`{part}` does not come next: {}", ran.shown()));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn a_call_that_needs_a_person_waits_and_names_what_to_type() {
    let site = site();
    let ran = site.fusebox(&["call", "email.send", &mail().to_string()]).exits(12);
    assert_eq!(ran.stdout, "");
    let ran = ran
        .says("error[needs-approval]")
        .says("fusebox approvals approve apr_")
        .says("fusebox approvals deny apr_")
        .says("fusebox runs follow run_");
    assert!(!ran.stderr.contains("APPROVAL"), "{}", ran.shown());
    assert_eq!(site.requests(Service::Mail).len(), 0, "nothing was sent");

    let list = site.fusebox(&["approvals"]).exits(0).stdout;
    let fields: Vec<_> = list.trim_end().split('\t').collect();
    assert_eq!((fields[1], fields[2], fields[3]), ("pending", "email.send", "local"));
    let (approval, run) = (fields[0], fields[6]);
    let shown = site.fusebox(&["approvals", "show", approval]).exits(0);
    says_in_turn(
        &shown,
        &[
            "approval  apr_",
            "pending",
            "email.send",
            "ann@example.com",
            "because",
            "expires",
        ],
    );
    assert!(
        shown.stdout.contains(&format!("fusebox approvals deny {approval}")),
        "{}",
        shown.shown()
    );
    let shown = site.fusebox(&["runs", "show", run]).exits(0);
    says_in_turn(
        &shown,
        &[
            "suspended",
            "waits for a person, since",
            approval,
            "next",
            "fusebox approvals show",
        ],
    );
    assert_eq!(site.letters().len(), 0);
}

#[test]
fn an_approved_run_goes_on_in_the_approvers_process() {
    let site = site();
    let (run, approval) = asked(&site);
    let ran = site
        .fusebox(&[
            "approvals",
            "approve",
            &approval,
            "--by",
            "ann",
            "--reason",
            "it is fine",
            "--json",
        ])
        .exits(0);
    assert_eq!(ran.json()["run"], run.as_str());
    assert_eq!(ran.json()["state"], "succeeded");
    assert_eq!(mails(&site), 1);
    assert_eq!(site.run(&run)["state"], "succeeded");
    let decided = site
        .fusebox(&["approvals", "show", &approval, "--json"])
        .exits(0)
        .json();
    assert_eq!(
        (
            decided["state"].as_str(),
            decided["by"].as_str(),
            decided["reason"].as_str()
        ),
        (Some("used"), Some("ann"), Some("it is fine"))
    );
    // A second word changes nothing.
    for word in ["approve", "deny"] {
        let again = site.fusebox(&["approvals", word, &approval]);
        assert_ne!(again.code, 0, "{}", again.shown());
        assert!(again.stderr.contains(&approval), "{}", again.shown());
    }
    assert_eq!(mails(&site), 1);
    assert_eq!(
        site.fusebox(&["approvals"]).exits(0).stdout,
        "",
        "nothing waits any more"
    );
    assert_eq!(site.fusebox(&["approvals", "--all"]).exits(0).stdout.lines().count(), 1);
}

#[test]
fn a_declined_run_ends_and_sends_nothing() {
    let site = site();
    let (run, approval) = asked(&site);
    site.fusebox(&["approvals", "deny", &approval, "--reason", "wrong recipient"])
        .exits(0)
        .says("is declined")
        .says("wrong recipient");
    assert_eq!(mails(&site), 0);
    let ended = site.run(&run);
    assert_eq!(
        (ended["state"].as_str(), ended["failure"]["code"].as_str()),
        (Some("failed"), Some("declined"))
    );
    site.fusebox(&["runs", "follow", &run])
        .exits(11)
        .says("error[declined]");
    assert_eq!(site.letters().len(), 0, "a declined approval is no letter");
}

#[test]
fn a_decision_can_be_left_to_a_serving_host() {
    let site = site();
    let (run, approval) = asked(&site);
    let ran = site.fusebox(&["approvals", "approve", &approval, "--detach"]).exits(0);
    let ran = ran.says("fusebox serve");
    assert_eq!((ran.stdout.as_str(), mails(&site)), ("", 0));
    let serving = site.start(&["serve"]);
    site.fusebox(&["runs", "follow", &run, "--every", "50ms"]).exits(0);
    assert_eq!(mails(&site), 1);
    serving.terminate();
    serving.wait().exits(0);
}

#[test]
fn following_sees_the_run_wait_and_go_on() {
    let site = site();
    let (run, approval) = asked(&site);
    let following = site.start(&["runs", "follow", &run, "--every", "50ms", "--json"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    site.fusebox(&["approvals", "approve", &approval]).exits(0);
    let lines = following.wait().exits(0).json_lines();
    let states: Vec<_> = lines.iter().filter_map(|line| line["state"].as_str()).collect();
    assert_eq!(
        (states.first(), states.last()),
        (Some(&"suspended"), Some(&"succeeded")),
        "{lines:?}"
    );
    assert_eq!(lines[0]["approval"], approval.as_str());
}

#[test]
fn a_cancelled_run_waits_for_nobody() {
    let site = site();
    let (run, approval) = asked(&site);
    site.fusebox(&["runs", "cancel", &run]).exits(0).says("is cancelled");
    assert_eq!(site.run(&run)["state"], "cancelled");
    let late = site.fusebox(&["approvals", "approve", &approval]);
    assert_ne!(late.code, 0, "{}", late.shown());
    eventually("nothing is sent", || mails(&site) == 0);
}

#[test]
fn what_is_wrong_is_named() {
    let site = Site::new();
    let unknown = "apr_01jd4m9q7gk0v3x8w2h5t6y1ze";
    for word in ["show", "approve", "deny"] {
        site.fusebox(&["approvals", word, unknown]).exits(16).says(unknown);
        site.fusebox(&["approvals", word, "17"])
            .exits(64)
            .says("an approval id");
        site.fusebox(&["approvals", word]).exits(64);
    }
    assert_eq!(
        site.fusebox(&["approvals"]).exits(0).stderr,
        "nothing waits for a person\n"
    );
    site.fusebox(&["approvals", "list", "--run-id", "x"]).exits(64);
}
