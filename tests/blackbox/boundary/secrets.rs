//! Secrets: they reach the upstream that they are meant for, and nothing else ever holds them.

mod echo;
mod planted;
mod sinks;

use crate::site::Site;
use crate::watching::collector::Collector;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use echo::Echo;
use fusebox_simulator::{Fault, Service};
use planted::Planted;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The values that the sites of the tests keep.
const VALUES: [&str; 3] = ["search-secret", "llm-secret", "mail-secret"];

#[test]
fn they_reach_the_upstream_and_are_written_nowhere_else() {
    let site = Site::deployed(&["search", "faulty"]);
    let mut printed = String::new();
    let mut run = |arguments: &[&str], code| {
        let ran = site.fusebox_with(&[("RUST_LOG", "trace")], arguments).exits(code);
        printed.push_str(&ran.stdout);
        printed.push_str(&ran.stderr);
        ran
    };
    run(&["call", "search.query", r#"{"text":"wasm"}"#], 0);
    let requests = site.requests(Service::Search);
    assert_eq!(requests[0].headers["authorization"], "Bearer search-secret");

    run(&["call", "faulty.environment"], 0);
    site.status(Service::Search, 503, Some(5));
    run(
        &[
            "call",
            "faulty.unwrap-on-503",
            r#"{"upstream":"search","path":"/v1/query?q=a"}"#,
        ],
        13,
    );
    let letters = site.letters();
    let letter = letters[0]["id"].as_str().unwrap();
    run(&["dlq", "show", letter], 0);
    run(&["dlq", "show", letter, "--json"], 0);
    run(
        &[
            "dlq",
            "export",
            letter,
            "--to",
            "letter.json",
            "--coredump",
            "letter.core",
        ],
        0,
    );
    run(&["runs", "--json"], 0);
    run(&["tools", "show", "search", "--json"], 0);
    run(&["policy", "explain", "search.query"], 0);
    run(&["config", "show", "--json"], 0);
    run(&["secrets", "list"], 0);
    run(&["secrets", "list", "--json"], 0);
    run(&["doctor"], 0);
    for value in VALUES {
        assert!(!printed.contains(value), "{value} was printed");
    }
    // The core dump holds the guest's memory as it was, not compressed.
    let holders = files_with(&site, &VALUES);
    assert_eq!(holders, ["secrets.toml"]);
    let mode = fs::metadata(site.path("secrets.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Names of the files of a site that hold one of the values.
fn files_with(site: &Site, values: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![site.folder().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let holds = |value: &&str| bytes.windows(value.len()).any(|window| window == value.as_bytes());
            if values.iter().any(holds) {
                found.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_upstream_that_repeats_a_secret_tells_nobody() {
    let site = Site::deployed(&["faulty"]);
    let echo = |status| Fault::Status {
        status,
        retry_after: None,
        body: Some("you said: Bearer search-secret".to_owned()),
    };
    site.fault(Service::Search, echo(200), Some(1));
    let input = json!({ "upstream": "search", "method": "GET", "path": "/v1/query?q=wasm", "body": null });
    let ran = site.call("faulty.request", &input).exits(0);
    let body = ran.json()["output"]["body"].as_str().unwrap().to_owned();
    assert!(body.starts_with("you said: Bearer "), "{body}");
    assert!(!ran.stdout.contains("search-secret"), "{}", ran.shown());

    // A guest that panics with the answer of its upstream: message, log and memory are kept.
    site.fault(Service::Search, echo(503), None);
    let input = json!({ "upstream": "search", "path": "/v1/query?q=wasm" });
    let ran = site.call("faulty.unwrap-on-503", &input).exits(13);
    let letter = ran.letter();
    site.fusebox(&[
        "dlq",
        "export",
        &letter,
        "--to",
        "letter.json",
        "--coredump",
        "letter.core",
    ])
    .exits(0);
    assert!(site.read("letter.json").contains("you said: Bearer "));
    assert_eq!(files_with(&site, &VALUES), ["secrets.toml"]);
}

/// Everything but what compilers say of themselves, which is megabytes.
const LOG: &str = "trace,wasmtime=info,wasmtime_environ=info,wasmtime_internal_cranelift=info,cranelift_codegen=info,\
    cranelift_frontend=info,regalloc2=info";
/// Characters that every encoding has its own way with.
const TOKEN: &str = r#"Qz7hV2pLx9Tn4Wk+/?~"\&<>="#;
const PASSWORD: &str = "Ujq3hunter2Vw8-~?>";
const HOOK: &str = "T7hookXy4Kp9";
const DATABASE: [u8; 32] = *b"\x01\xfe\xa7qK8\x90mTz\xc3\xf1\x0b5Vw\xee\x7f2Xc\x99\xd4hJ\x80\x81Yr\xbb\xfa\x06";

/// A site with a tool whose upstreams repeat their credentials, with or without encryption.
fn repeating([search, llm]: &[Echo; 2], collector: &Collector, encryption: &str) -> Site {
    let site = Site::with(&format!(
        "log = \"trace\"\nlog-format = \"json\"\n{encryption}\n[otlp]\nendpoint = \"{}\"\n\
         [oidc]\nissuer = \"http://127.0.0.1:9\"\n[alerts]\nwebhook = \"http://127.0.0.1:9/{HOOK}\"\noldest-age = \"1s\"\n",
        collector.url
    ));
    let mut kept = String::from_utf8(STANDARD.encode(DATABASE).into_bytes()).unwrap();
    kept.push('\n');
    site.write("database.key", &kept);
    fs::set_permissions(site.path("database.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let basic = STANDARD.encode(format!("agent:{PASSWORD}"));
    for (name, value, echo) in [("SEARCH_KEY", TOKEN, search), ("LLM_KEY", &basic, llm)] {
        site.pipe(&["secrets", "set", name, "--host", &echo.url], value.as_bytes())
            .exits(0);
    }
    site.place("faulty", &[("Bearer ${secret:LLM_KEY}", "Basic ${secret:LLM_KEY}")]);
    let manifest = site.read("faulty.toml");
    let manifest = manifest.replace(&site.url(Service::Search), &search.url);
    let manifest = manifest.replace(&site.url(Service::Llm), &llm.url);
    site.write("faulty.toml", &manifest);
    site.fusebox(&["deploy", "faulty.toml"]).exits(0);
    site
}

/// Plants every kind of secret, lives through everything, and looks for them everywhere.
fn found_nowhere(encryption: &str) {
    let (echoes, collector) = ([Echo::start(), Echo::start()], Collector::start());
    let site = repeating(&echoes, &collector, encryption);
    let roles = ["caller", "approver", "operator", "deployer"].map(|role| ["--role", role]);
    let made = site.fusebox(&[&["keys", "create", "everybody"], roles.as_flattened()].concat());
    let key = made.exits(0).stdout.trim().to_owned();
    // Nobody can ask its issuer about it, so that it is refused.
    let claims = json!({ "iss": "http://127.0.0.1:9", "aud": "fusebox", "sub": "ann", "exp": 4_102_444_800_u64 });
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let signature = url_safe.encode([0x5a; 96]);
    let foreign = [r#"{"alg":"RS256","typ":"JWT","kid":"one"}"#, &claims.to_string()].map(|part| url_safe.encode(part));
    let foreign = format!("{}.{signature}", foreign.join("."));
    let planted = [
        Planted::new("a token of an upstream", TOKEN),
        Planted::new("a password of an upstream", PASSWORD),
        Planted::new("user and password", &STANDARD.encode(format!("agent:{PASSWORD}"))),
        Planted::new("an API key", &key[17..]),
        Planted::new("a token of an issuer", &signature),
        Planted::new("the webhook's path", HOOK),
        Planted::new("the key of the database", &STANDARD.encode(DATABASE)).or(&DATABASE),
    ];
    let leaks: Vec<_> = sinks::of(&site, &collector, &key, &foreign)
        .iter()
        .flat_map(|(sink, bytes)| {
            let in_it = planted
                .iter()
                .filter_map(|planted| Some((planted.name, planted.found(bytes)?)));
            in_it
                .map(|(name, trace)| format!("{name} is in {sink}: {trace}"))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    let basic = STANDARD.encode(format!("agent:{PASSWORD}"));
    for (echo, sent) in echoes.iter().zip([format!("Bearer {TOKEN}"), format!("Basic {basic}")]) {
        assert!(
            !echo.seen().is_empty() && echo.seen().iter().all(|seen| *seen == sent),
            "{:?}",
            echo.seen()
        );
    }
}

#[test]
fn nothing_that_can_be_read_of_a_host_holds_a_secret() {
    found_nowhere("");
}

#[test]
fn nothing_that_can_be_read_of_a_host_with_encryption_holds_its_key() {
    found_nowhere("[encryption]\nkey = \"database.key\"");
}

#[test]
fn a_secret_goes_only_to_the_hosts_that_it_was_set_for() {
    let site = Site::new();
    site.fusebox(&["secrets", "remove", "SEARCH_KEY"]).exits(0);
    site.pipe(
        &["secrets", "set", "SEARCH_KEY", "--host", "api.search.example"],
        b"search-secret",
    )
    .exits(0);
    site.place("search", &[]);
    let ran = site.fusebox(&["deploy", "search.toml", "--json"]).exits(64);
    assert!(ran.stdout.contains("FB0302"), "{}", ran.shown());
    assert_eq!(site.requests(Service::Search).len(), 0);
}

#[test]
fn a_secret_that_is_gone_sends_nothing() {
    let site = Site::deployed(&["search"]);
    site.fusebox(&["secrets", "remove", "SEARCH_KEY"]).exits(0);
    let ran = site.call("search.query", &json!({ "text": "wasm" }));
    assert_ne!(ran.code, 0, "{}", ran.shown());
    assert!(
        ran.stdout.contains("SEARCH_KEY"),
        "the missing secret is named: {}",
        ran.shown()
    );
    assert_eq!(site.requests(Service::Search).len(), 0);
    site.fusebox(&["secrets", "remove", "SEARCH_KEY"])
        .exits(64)
        .says("there is no secret");
}

#[test]
fn a_guests_own_header_does_not_replace_the_hosts() {
    let site = Site::deployed(&["faulty"]);
    let input = json!({ "upstream": "search", "method": "GET", "path": "/v1/query?q=wasm", "body": null });
    site.call("faulty.request", &input).exits(0);
    assert_eq!(
        site.requests(Service::Search)[0].headers["authorization"],
        "Bearer search-secret"
    );
}

#[test]
fn files_are_for_the_owner_alone() {
    let site = Site::deployed(&["faulty"]);
    let id = site.call("faulty.trap", &json!({})).exits(21).letter();
    site.fusebox(&["dlq", "export", &id, "--to", "letter.json"]).exits(0);
    for file in ["fusebox.db", "fusebox.db.lock", "secrets.toml", "letter.json"] {
        let mode = fs::metadata(site.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
    let call = ["call", "faulty.stateful", "--cache", "own-cache"];
    site.fusebox(&call).exits(0);
    let cache = site.path("own-cache");
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    // Whoever may write there could have code run here.
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    site.fusebox(&call).exits(64).says("FB0508").says("chmod 700");
}

#[test]
fn secrets_may_come_from_variables() {
    let site = Site::deployed(&["search"]);
    let host = site.url(Service::Search);
    site.write(
        "fusebox.toml",
        &format!(
            "[network]\nallow = [\"127.0.0.1\"]\n[secrets]\nsource = \"environment\"\nhosts = {{ SEARCH_KEY = [\"{host}\"] }}\n"
        ),
    );
    let call = ["call", "search.query", r#"{"text":"wasm"}"#];
    site.fusebox_with(&[("FUSEBOX_SECRET_SEARCH_KEY", "search-secret")], &call)
        .exits(0);
    assert_eq!(site.requests(Service::Search).len(), 1);
    let ran = site.fusebox(&call);
    assert_ne!(ran.code, 0);
    assert_eq!(site.requests(Service::Search).len(), 1);
}
