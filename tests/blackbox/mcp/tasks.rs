//! The tasks extension: the task is the run.

use super::agent::{Agent, failed};
use crate::site::{Site, eventually};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};

fn mail() -> Value {
    json!({ "to": "ann@example.com", "subject": "Hello", "body": "May I?" })
}

/// Asks after a task until it is over.
#[track_caller]
fn over(agent: &mut Agent, task: &str) -> Value {
    let mut told = Value::Null;
    eventually("the task is over", || {
        told = agent.ask("tasks/get", json!({ "taskId": task }));
        assert_ne!(told["status"], "input_required");
        told["status"] != "working"
    });
    told
}

#[test]
fn what_may_not_start_over_is_a_task_at_once_and_its_run_is_that() {
    let site = Site::deployed(&["email", "calculator"]);
    let mut agent = Agent::modern(&site, true);
    let task = agent.call("email_send", &mail());
    assert_eq!(task["resultType"], "task", "{task}");
    let id = task["taskId"].as_str().unwrap();
    assert_eq!(site.run(id)["principal"], "stdio");
    let told = over(&mut agent, id);
    assert_eq!(told["status"], "completed");
    assert_eq!(told["result"]["isError"], false, "{told}");
    assert_eq!(site.upstreams().mails().len(), 1);
    // What may start over is answered at once.
    let result = agent.call("calculator_evaluate", &json!({ "expression": "1+1" }));
    assert_eq!(result["resultType"], "complete");
}

#[test]
fn a_task_outlives_its_server() {
    let site = Site::deployed(&["email"]);
    site.fault(Service::Mail, Fault::Delay(1_000), Some(1));
    let mut agent = Agent::modern(&site, true);
    let id = agent.call("email_send", &mail())["taskId"].as_str().unwrap().to_owned();
    assert!(agent.end().success());
    let mut next = Agent::modern(&site, true);
    let told = over(&mut next, &id);
    assert_eq!(told["status"], "completed", "{told}");
    assert_eq!(site.upstreams().mails().len(), 1);
}

#[test]
fn a_failure_is_a_task_that_is_completed_with_an_error() {
    let site = Site::deployed(&["email"]);
    site.status(Service::Mail, 503, None);
    let mut agent = Agent::modern(&site, true);
    let id = agent.call("email_send", &mail())["taskId"].as_str().unwrap().to_owned();
    let told = over(&mut agent, &id);
    assert_eq!(told["status"], "completed");
    let body = failed(&told["result"]);
    assert!(body["letter"].as_str().unwrap().starts_with("ltr_"), "{body}");
}

#[test]
fn a_task_that_waits_for_a_person_works_and_asks_its_client_for_nothing() {
    let site = Site::new();
    site.deploy_with(
        "email",
        &[("[functions.send]\n", "[functions.send]\napproval = \"required\"\n")],
    );
    let mut agent = Agent::modern(&site, true);
    let id = agent.call("email_send", &mail())["taskId"].as_str().unwrap().to_owned();
    let mut told = Value::Null;
    eventually("it says that it waits", || {
        told = agent.ask("tasks/get", json!({ "taskId": id }));
        told["statusMessage"].as_str().is_some_and(|text| text.contains("apr_"))
    });
    assert_eq!(told["status"], "working");
    let answer = json!({ "taskId": id, "inputResponses": {} });
    assert_eq!(agent.request("tasks/update", answer)["error"]["code"], -32602);
    let approval = site.run(&id)["approval"].as_str().unwrap().to_owned();
    site.fusebox(&["approvals", "approve", &approval]).exits(0);
    assert_eq!(over(&mut agent, &id)["status"], "completed");
    assert_eq!(site.upstreams().mails().len(), 1);
}

#[test]
fn a_task_is_cancelled_by_its_own_client_alone() {
    let site = Site::new();
    site.deploy_with(
        "email",
        &[("[functions.send]\n", "[functions.send]\napproval = \"required\"\n")],
    );
    let theirs = site.call("email.send", &mail()).exits(12).json()["error"]["run"].clone();
    let mut agent = Agent::modern(&site, true);
    assert_eq!(
        agent.request("tasks/cancel", json!({ "taskId": theirs }))["error"]["code"],
        -32602
    );
    let id = agent.call("email_send", &mail())["taskId"].as_str().unwrap().to_owned();
    eventually("it waits", || site.run(&id)["state"] == "suspended");
    agent.ask("tasks/cancel", json!({ "taskId": id }));
    assert_eq!(over(&mut agent, &id)["status"], "cancelled");
    assert_eq!(site.run(theirs.as_str().unwrap())["state"], "suspended");
    let mut without = Agent::modern(&site, false);
    assert_eq!(
        without.request("tasks/get", json!({ "taskId": id }))["error"]["code"],
        -32021
    );
}
