//! The audit trail from the command line, and what it says of a database that somebody changed.

use crate::site::Site;
use serde_json::Value;
use std::process::Command;

/// A site with a trail of six entries.
fn site() -> Site {
    let site = Site::deployed(&["calculator"]);
    for command in [
        &["tools", "disable", "calculator"][..],
        &["tools", "enable", "calculator"],
        &["keys", "create", "ci", "--role", "caller"],
        &["breakers", "open", "tool:calculator"],
        &["breakers", "reset", "tool:calculator"],
    ] {
        site.fusebox(command).exits(0);
    }
    site
}

fn entries(site: &Site, more: &[&str]) -> Vec<Value> {
    let line = [&["audit", "list", "--json"], more].concat();
    site.fusebox(&line).exits(0).json_lines()
}

fn verdict(site: &Site, exit: i32) -> Value {
    site.fusebox(&["audit", "verify", "--json"]).exits(exit).json()
}

/// Changes the database as somebody who means it, without the triggers.
#[track_caller]
fn tamper(site: &Site, statements: &str) {
    let triggers = "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_removed; \
                    DROP TRIGGER audit_is_added_to_at_its_end; DROP TRIGGER audit_moves_its_end;";
    let output = Command::new("sqlite3")
        .arg(site.path("fusebox.db"))
        .arg(format!("{triggers} {statements}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_done_to_a_host_is_listed_newest_first_and_by_filter() {
    let site = site();
    let actions: Vec<_> = entries(&site, &[])
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "breaker.close",
        "breaker.open",
        "key.create",
        "tool.enable",
        "tool.disable",
        "tool.deploy",
    ];
    assert_eq!(actions, expected);
    assert_eq!(entries(&site, &["--subject", "calculator"]).len(), 3);
    assert_eq!(entries(&site, &["--action", "key.create"])[0]["principal"], "local");
    assert_eq!(entries(&site, &["--limit", "2"]).len(), 2);
    // What failed is told twice.
    site.fusebox(&["tools", "disable", "nothing"]).exits(16);
    let failed = entries(&site, &["--subject", "nothing"]);
    let outcomes: Vec<_> = failed.iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["failed", "begun"]);
    let verdict = verdict(&site, 0);
    assert_eq!((&verdict["whole"], &verdict["entries"]), (&true.into(), &8.into()));
    assert_eq!(verdict["head"], failed[0]["hash"]);
}

#[test]
fn the_database_itself_refuses_to_change_or_remove_entries() {
    let site = site();
    for statement in [
        "UPDATE audit SET subject = 'x' WHERE number = 1",
        "DELETE FROM audit WHERE number = 6",
        "DELETE FROM audit_heads",
        "UPDATE audit_heads SET number = 2",
        "INSERT INTO audit SELECT tenant, 7, at, principal, action, subject, detail, outcome, previous, hash FROM audit WHERE number = 1",
        "INSERT OR REPLACE INTO audit SELECT tenant, number, at, 'x', action, subject, detail, outcome, previous, hash FROM audit",
    ] {
        let output = Command::new("sqlite3")
            .arg(site.path("fusebox.db"))
            .arg(statement)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("audit trail"),
            "{statement}: {said}"
        );
    }
    assert_eq!(verdict(&site, 0)["entries"], 6);
}

#[test]
fn verify_says_where_a_trail_was_changed() {
    for (statements, number) in [
        ("UPDATE audit SET subject = 'other' WHERE number = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE number = 1", 1),
        ("DELETE FROM audit WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number > 4", 5),
        (
            "UPDATE audit SET number = 100 WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3; \
             UPDATE audit SET number = 3 WHERE number = 100",
            2,
        ),
        (
            "INSERT INTO audit SELECT tenant, 7, at, principal, action, subject, detail, outcome, hash, hash \
             FROM audit WHERE number = 6",
            7,
        ),
    ] {
        let site = site();
        tamper(&site, statements);
        let verdict = verdict(&site, 1);
        assert_eq!(verdict["whole"], false, "{statements}");
        assert_eq!(verdict["faults"][0]["number"], number, "{statements}: {verdict}");
        site.fusebox(&["audit", "verify"])
            .exits(1)
            .says("not as it was written");
    }
}

#[test]
fn a_head_that_was_noted_down_tells_of_a_trail_that_was_written_anew() {
    let site = site();
    let head = verdict(&site, 0)["head"].as_str().unwrap().to_owned();
    site.fusebox(&["tools", "disable", "calculator"]).exits(0);
    site.fusebox(&["audit", "verify", "--from-head", &head]).exits(0);
    // Everything is forgotten, and the trail begins anew.
    tamper(
        &site,
        "DROP TRIGGER audit_heads_stay; DELETE FROM audit; DELETE FROM audit_heads",
    );
    assert_eq!(verdict(&site, 0)["entries"], 0);
    let found = site
        .fusebox(&["audit", "verify", "--from-head", &head, "--json"])
        .exits(1)
        .json();
    assert!(
        found["faults"][0]["fault"].as_str().unwrap().contains("rewritten"),
        "{found}"
    );
    site.fusebox(&["audit", "verify", "--from-head", "nonsense"]).exits(64);
}
