//! API keys from the command line: what is shown once, what is kept, and what an approver's key guards.

use crate::site::Site;
use serde_json::{Value, json};
use std::fs;

/// Makes a key; its token.
#[track_caller]
fn key(site: &Site, name: &str, role: &str, variables: &[(&str, &str)]) -> String {
    let made = site
        .fusebox_with(variables, &["keys", "create", name, "--role", role])
        .exits(0);
    made.stdout.trim().to_owned()
}

fn keys(site: &Site) -> Vec<Value> {
    site.fusebox(&["keys", "list", "--json"]).exits(0).json_lines()
}

#[test]
fn a_token_stands_alone_on_stdout_and_is_told_once() {
    let site = Site::new();
    let made = site
        .fusebox(&[
            "keys",
            "create",
            "ci",
            "--role",
            "caller",
            "--role",
            "operator",
            "--expires",
            "90d",
        ])
        .exits(0)
        .says("its token is shown this once")
        .says("(`ci`, tenant default) is caller, operator, until 2");
    assert_eq!(made.stdout.lines().count(), 1);
    let token = made.stdout.trim();
    assert!(token.starts_with("fbx_") && token.len() == 60, "{token}");
    assert!(!made.stderr.contains(token));
    let all = keys(&site);
    assert_eq!((&all[0]["name"], &all[0]["tenant"]), (&json!("ci"), &json!("default")));
    assert_eq!(all[0]["roles"], json!(["caller", "operator"]));
    assert_eq!(all[0]["id"], token[4..16]);
    let lifetime = all[0]["expires"].as_i64().unwrap() - all[0]["created"].as_i64().unwrap();
    assert_eq!(lifetime, 90 * 86_400_000);

    let made = site
        .fusebox(&["keys", "create", "ci", "--role", "caller", "--json"])
        .exits(0);
    assert_eq!(made.json()["key"]["name"], "ci");
    assert!(made.json()["token"].as_str().unwrap().starts_with("fbx_"));
    assert_eq!(keys(&site).len(), 2, "one may take the other's place");
}

#[test]
fn the_secret_part_is_in_no_file_of_the_host_and_in_nothing_that_it_prints() {
    let site = Site::with("log = \"trace\"");
    let made = site.fusebox(&["keys", "create", "ci", "--role", "caller"]).exits(0);
    let token = made.stdout.trim().to_owned();
    let secret = &token[17..];
    let id = &token[4..16];
    assert!(!made.stderr.contains(secret), "{}", made.stderr);
    for command in [
        &["keys", "list"][..],
        &["keys", "list", "--json"],
        &["audit", "list", "--json"],
        &["keys", "revoke", id],
        &["doctor"],
    ] {
        let ran = site.fusebox_with(&[("FUSEBOX_KEY", &token)], command);
        assert!(
            !ran.stdout.contains(secret) && !ran.stderr.contains(secret),
            "{}",
            ran.shown()
        );
    }
    let mut looked_at = 0;
    let mut folders = vec![site.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!found, "{}", path.display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 2, "the database was looked at");
}

#[test]
fn keys_of_tenants_are_apart_and_what_is_wrong_is_told() {
    let site = Site::new();
    site.fusebox(&["keys", "create", "ci", "--role", "caller", "--tenant", "acme"])
        .exits(0)
        .says("tenant acme");
    assert!(keys(&site).is_empty());
    let theirs = site
        .fusebox(&["keys", "list", "--tenant", "acme", "--json"])
        .exits(0)
        .json_lines();
    let id = theirs[0]["id"].as_str().unwrap();
    site.fusebox(&["keys", "revoke", id])
        .exits(16)
        .says("no API key has the id");
    site.fusebox(&["keys", "revoke", id, "--tenant", "acme"]).exits(0);
    let theirs = site
        .fusebox(&["keys", "list", "--tenant", "acme", "--json"])
        .exits(0)
        .json_lines();
    assert!(theirs[0]["revoked"].is_i64());
    site.fusebox(&["keys", "create", "a:b", "--role", "caller"])
        .exits(65)
        .says("letters, digits");
    site.fusebox(&["keys", "create", "ci"]).exits(64);
    site.fusebox(&["keys", "create", "ci", "--role", "emperor"])
        .exits(64)
        .says("caller, approver, operator, deployer");
}

/// A site where sending mail needs a person, and a call that waits for one: the id of the question.
fn waiting() -> (Site, String) {
    let site = Site::new();
    let required = ("[functions.send]\n", "[functions.send]\napproval = \"required\"\n");
    site.deploy_with("email", &[required]);
    let id = ask(&site);
    (site, id)
}

fn ask(site: &Site) -> String {
    let mail = json!({ "to": "ann@example.com", "subject": "Hello", "body": "May I?" });
    let asked = site.call("email.send", &mail).exits(12).json();
    asked["error"]["approval"].as_str().unwrap().to_owned()
}

#[test]
fn an_approvers_key_is_needed_once_there_is_one() {
    let (site, first) = waiting();
    // Before there is one, whoever types decides, and is told how to set one up.
    site.fusebox(&["approvals", "approve", &first])
        .exits(0)
        .says("fusebox keys create NAME --role approver");
    let ann = key(&site, "ann", "approver", &[]);
    let ci = key(&site, "ci", "caller", &[]);
    let question = ask(&site);
    for variables in [
        &[][..],
        &[("FUSEBOX_KEY", ci.as_str())],
        &[("FUSEBOX_KEY", "fbx_nonsense")],
    ] {
        for verb in ["approve", "deny"] {
            site.fusebox_with(variables, &["approvals", verb, &question]).exits(11);
        }
    }
    site.fusebox(&["approvals", "approve", &question])
        .exits(11)
        .says("FUSEBOX_KEY or --key-file");
    assert_eq!(site.upstreams().mails().len(), 1, "the second was not sent");
    site.fusebox_with(&[("FUSEBOX_KEY", &ann)], &["approvals", "approve", &question])
        .exits(0);
    assert_eq!(site.upstreams().mails().len(), 2);
    let shown = site
        .fusebox(&["approvals", "show", &question, "--json"])
        .exits(0)
        .json();
    assert_eq!((&shown["state"], &shown["by"]), (&json!("used"), &json!("key:ann")));
    let trail = site.fusebox(&["audit", "list", "--action", "approval.approve", "--json"]);
    let by: Vec<_> = trail
        .exits(0)
        .json_lines()
        .into_iter()
        .map(|entry| entry["principal"].clone())
        .collect();
    assert_eq!(by, ["key:ann", "local"]);

    site.write("ann.key", &format!("{ann}\n"));
    let question = ask(&site);
    site.fusebox(&["approvals", "deny", &question, "--key-file", "ann.key"])
        .exits(0);
    assert_eq!(site.upstreams().mails().len(), 2);
}

#[test]
fn whoever_may_not_approve_makes_no_approver_and_does_away_with_none() {
    let (site, question) = waiting();
    let ann = key(&site, "ann", "approver", &[]);
    let id = &ann[4..16];
    site.fusebox(&["keys", "create", "me", "--role", "approver"])
        .exits(11)
        .says("approver's key");
    site.fusebox(&["keys", "revoke", id]).exits(11).says("approver's key");
    site.fusebox(&["approvals", "approve", &question]).exits(11);
    // Keys of other roles are made and revoked as before.
    let ci = key(&site, "ci", "caller", &[]);
    site.fusebox(&["keys", "revoke", &ci[4..16]]).exits(0);
    // An approver makes another one, and may go.
    let bob = key(&site, "bob", "approver", &[("FUSEBOX_KEY", &ann)]);
    site.fusebox_with(&[("FUSEBOX_KEY", &bob)], &["keys", "revoke", id])
        .exits(0);
    site.fusebox_with(&[("FUSEBOX_KEY", &ann)], &["approvals", "approve", &question])
        .exits(11)
        .says("revoked");
    site.fusebox_with(&[("FUSEBOX_KEY", &bob)], &["approvals", "approve", &question])
        .exits(0);
}
