//! What a guest may reach: the hosts of its services, and no private address that the operator has not allowed.

use crate::site::Site;
use fusebox_simulator::Service;
use serde_json::{Value, json};

#[test]
fn a_host_that_no_service_names_is_denied() {
    let site = Site::deployed(&["faulty"]);
    for url in [
        None,
        Some("http://169.254.169.254/latest/meta-data".to_owned()),
        Some("http://[::ffff:127.0.0.1]/".to_owned()),
        Some("http://localhost/".to_owned()),
        // The port is a part of what was granted.
        Some("http://127.0.0.1:1/".to_owned()),
        // An upstream that is there, but not under that name.
        Some(site.url(Service::Search).replace("127.0.0.1", "localhost")),
    ] {
        let ran = site.call("faulty.denied-host", &json!({ "url": url })).exits(11);
        let error = &ran.json()["error"];
        assert_eq!(
            (error["code"].as_str(), error["class"].as_str()),
            (Some("denied"), Some("control")),
            "{url:?}"
        );
    }
    assert_eq!(site.upstreams().requests(None).len(), 0);
    assert_eq!(site.letters().len(), 0);
    let errors = site.errors();
    assert_eq!(errors.len(), 6);
    assert!(errors[5].to_string().contains("not-granted.example"), "{}", errors[5]);
}

/// A tool that may reach that host, as far as its manifest is concerned.
fn granting(site: &Site, host: &str) {
    let service = format!("[services.x]\nhosts = [\"{host}\"]\n\n[services.search]\n");
    site.place("faulty", &[("[services.search]\n", &service)]);
}

#[test]
fn private_addresses_are_not_reached_unless_the_operator_allows_them() {
    for host in [
        "http://169.254.169.254",
        "http://[::ffff:127.0.0.1]:8801",
        "http://10.0.0.1",
        "http://192.168.1.1:8080",
        "http://[fd00::1]",
        "http://[::1]:8801",
        "http://localhost:8801",
        "http://0.0.0.0:8801",
    ] {
        let site = Site::new();
        site.write("fusebox.toml", "[network]\nallow = []\n");
        granting(&site, host);
        let ran = site.fusebox(&["check", "faulty.toml", "--json"]).exits(0);
        let findings = ran.json()["findings"].clone();
        let warned = |finding: &Value| {
            finding["code"] == "FB0307" && finding["message"].as_str().unwrap().contains(&site.here(host))
        };
        assert!(findings.as_array().unwrap().iter().any(warned), "{host}: {findings}");
        site.fusebox(&["deploy", "faulty.toml"]).exits(0).says("FB0307");
        let url = format!("{}/", site.here(host));
        let ran = site.call("faulty.denied-host", &json!({ "url": url })).exits(11);
        assert_eq!(ran.json()["error"]["service"], "x", "{}", ran.shown());
        assert_eq!(site.upstreams().requests(None).len(), 0, "{host}");
    }
}

#[test]
fn a_name_that_leads_to_a_private_address_is_refused_by_the_address() {
    let site = Site::new();
    granting(&site, "http://localhost:8801");
    site.fusebox(&["deploy", "faulty.toml"]).exits(0);
    // The operator allows 127.0.0.1 in any spelling of it, and a name that leads there.
    let url = site.here("http://localhost:8801/");
    let allowed = site.call("faulty.denied-host", &json!({ "url": url }));
    site.write("fusebox.toml", "[network]\nallow = [\"10.0.0.0/8\"]\n");
    let refused = site.call("faulty.denied-host", &json!({ "url": url })).exits(11);
    assert_ne!(allowed.code, refused.code, "{}", allowed.shown());
    assert_eq!(site.requests(Service::Search).len(), 1);
}

#[test]
fn what_the_operator_no_longer_allows_is_not_reached() {
    let site = Site::deployed(&["search"]);
    site.write("fusebox.toml", "[network]\nallow = []\n");
    let ran = site.call("search.query", &json!({ "text": "wasm" })).exits(11);
    assert_eq!(ran.json()["error"]["code"], "denied");
    assert_eq!(site.requests(Service::Search).len(), 0);
    assert_eq!(
        site.breaker("search/search")["failures"],
        0,
        "a denial says nothing of the service"
    );
}

#[test]
fn guests_have_no_files_no_sockets_and_no_environment_but_their_own() {
    let site = Site::deployed(&["faulty"]);
    let ran = site
        .call("faulty.read-file", &json!({ "path": "/etc/passwd" }))
        .exits(10);
    assert!(!ran.stdout.contains("root:"), "{}", ran.shown());
    let ran = site.call("faulty.open-socket", &json!({})).exits(10);
    assert!(ran.stdout.contains("access-denied"), "{}", ran.shown());
    let ran = site
        .fusebox_with(&[("LEAK", "x")], &["call", "faulty.environment", "--json"])
        .exits(0);
    let output = ran.json()["output"].clone();
    let names: Vec<_> = output
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair[0].as_str().unwrap())
        .collect();
    assert_eq!(names, ["SEARCH_URL", "LLM_URL", "MAIL_URL", "LEDGER_URL"]);
}

#[test]
fn a_rate_limit_spaces_requests_out_and_is_no_failure() {
    let site = Site::new();
    site.deploy_with(
        "faulty",
        &[("[services.ledger]\n", "[services.ledger]\nrate-limit = \"1/s\"\n")],
    );
    let order = json!({ "from": "alice", "to": "bob", "amount": 10 }).to_string();
    let input = json!({ "upstream": "ledger", "path": "/v1/transfers", "body": order });
    let ran = site
        .call_with("faulty.two-posts", &input, &["--key", "spaced"])
        .exits(0);
    let run = site.run(ran.json()["run"].as_str().unwrap());
    let effects = run["attempts"][0]["effects"].as_array().unwrap();
    assert_eq!(effects.len(), 2);
    let took = run["attempts"][0]["took-ms"].as_u64().unwrap();
    assert!(took >= 900, "{took} ms for two requests at one a second");
    assert_eq!(site.requests(Service::Ledger).len(), 2);
}
