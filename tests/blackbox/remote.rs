//! The command line against a host that serves elsewhere: what is printed, and how commands end, is as on the host's own machine.

use crate::site::{Ran, Running, Site, eventually};
use fusebox_simulator::{Fault, Service};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Roles of whoever asks from this machine.
const EVERYBODY: &str = "--open-loopback=caller,approver,operator,deployer";

/// A host that serves a site, and its address.
struct Serving {
    running: Running,
    url: String,
}

impl Serving {
    fn start(site: &Site, more: &[&str]) -> Self {
        let running = site.start(&[&["serve", "--http", "127.0.0.1:0", "--json"], more].concat());
        let mut url = None;
        eventually("the host says where it listens", || {
            let printed = running.printed();
            let line = printed
                .lines()
                .find_map(|line| serde_json::from_str::<Value>(line).ok());
            url = line.and_then(|line| Some(line["http"].as_str()?.to_owned()));
            url.is_some()
        });
        Self {
            running,
            url: url.unwrap(),
        }
    }

    fn end(self) {
        self.running.terminate();
        self.running.wait().exits(0);
    }
}

/// Somebody who types commands: on the host's machine, or elsewhere with `--host`.
struct Typist<'a> {
    site: &'a Site,
    host: Option<&'a str>,
}

impl Typist<'_> {
    #[track_caller]
    fn types(&self, words: &[&str]) -> Ran {
        match self.host {
            Some(host) => self.site.fusebox(&[words, &["--host", host]].concat()),
            None => self.site.fusebox(words),
        }
    }
}

/// What differs from one time to the next: ids, times, ports, sizes of what was compiled, and who asked.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut left = text;
    while let Some(at) = left.find(|c: char| c.is_ascii_alphanumeric()) {
        out.push_str(&left[..at]);
        left = &left[at..];
        let end = left
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(left.len());
        out.push_str(&masked_word(&left[..end]));
        left = &left[end..];
    }
    out + left
}

fn masked_word(word: &str) -> String {
    match word {
        word if ["run_", "ltr_", "apr_", "rdv_"]
            .iter()
            .any(|kind| word.starts_with(kind)) =>
        {
            word[..4].to_owned()
        }
        // A digest, or a number with whatever unit.
        word if word.chars().next().is_some_and(|c| c.is_ascii_digit()) => "#".to_owned(),
        word if word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit()) => "#".to_owned(),
        "loopback" => "local".to_owned(),
        "ms" | "s" | "min" | "h" | "KiB" | "MiB" => "unit".to_owned(),
        word => word.to_owned(),
    }
}

/// A site with something of everything: a call that went well, one that gave up, one that waits for a person, one that was refused.
fn lived() -> Site {
    let site = Site::deployed(&["search"]);
    site.deploy_with(
        "email",
        &[("[functions.send]\n", "[functions.send]\napproval = \"required\"\n")],
    );
    site.call("search.query", &json!({ "text": "wasm" })).exits(0);
    site.call("search.query", &json!({ "text": 7 })).exits(65);
    site.status(Service::Search, 503, Some(5));
    site.call("search.query", &json!({ "text": "sandbox" })).exits(13);
    site.call(
        "email.send",
        &json!({ "to": "a@example.com", "subject": "s", "body": "b" }),
    )
    .exits(12);
    site
}

#[test]
fn what_is_read_elsewhere_is_what_is_read_here() {
    let site = lived();
    let serving = Serving::start(&site, &[EVERYBODY]);
    let id = |words: &[&str], name: &str| {
        site.fusebox(words).exits(0).json_lines()[0][name]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let letter = id(&["dlq", "--json"], "id");
    let run = id(&["runs", "--tool", "search", "--state", "succeeded", "--json"], "id");
    let given_up = id(&["runs", "--state", "dead-lettered", "--json"], "id");
    let waiting = id(&["approvals", "--json"], "id");
    let error = site.errors()[0]["id"].to_string();
    let search = site.fusebox(&["tools", "show", "search", "--json"]).exits(0).json();
    let component = search["tool"]["component"].as_str().unwrap();
    let commands: Vec<Vec<&str>> = vec![
        vec!["tools"],
        vec!["tools", "show", "search"],
        vec!["tools", "show", "search.query"],
        vec!["tools", "show", "nothing"],
        vec!["tools", "show", "search.nothing"],
        vec!["policy", "explain", "search.query"],
        vec!["policy", "explain", "search.nothing"],
        vec!["runs"],
        vec!["runs", "--tool", "search", "--limit", "1"],
        vec!["runs", "show", &run],
        vec!["runs", "show", &given_up],
        vec!["runs", "show", "run_00000000000000000000000000"],
        vec!["runs", "show", "nonsense"],
        vec!["runs", "follow", &run],
        vec!["runs", "follow", &given_up],
        vec!["dlq"],
        vec!["dlq", "--groups"],
        vec!["dlq", "show", &letter],
        vec!["dlq", "show", "--run-id", &given_up],
        vec![
            "dlq", "show", &letter, "--memory", "1:0", "--offset", "0", "--length", "0x20000",
        ],
        vec!["dlq", "show", &letter, "--memory", "99:0"],
        vec!["dlq", "stats"],
        vec!["dlq", "redrives"],
        vec!["dlq", "export", &letter],
        vec!["dlq", "replay", &letter, "--dry-run"],
        vec!["dlq", "replay", "--service", "search", "--dry-run"],
        vec!["dlq", "purge", &letter, "--dry-run"],
        vec!["dlq", "retain", "--dry-run"],
        vec!["debug", &letter],
        vec!["debug", &letter, "--effects"],
        vec!["approvals"],
        vec!["approvals", "show", &waiting],
        vec!["errors"],
        vec!["errors", "show", &error],
        vec!["errors", "show", "999999"],
        vec!["check", "search.toml"],
    ];
    for words in &commands {
        let json = [words.as_slice(), &["--json"]].concat();
        let (here, there) = (
            site.fusebox(&json),
            Typist {
                site: &site,
                host: Some(&serving.url),
            }
            .types(&json),
        );
        assert_eq!(there.code, here.code, "{}\n{}", here.shown(), there.shown());
        assert_eq!(masked(&there.stdout), masked(&here.stdout), "{}", there.shown());
        let (here, there) = (
            site.fusebox(words),
            Typist {
                site: &site,
                host: Some(&serving.url),
            }
            .types(words),
        );
        assert_eq!(there.code, here.code, "{}\n{}", here.shown(), there.shown());
        assert_eq!(masked(&there.stdout), masked(&here.stdout), "{}", there.shown());
    }
    // A serving host knows of breakers besides: those that have no history yet.
    let breakers = |words: &[&str]| {
        let all = site
            .fusebox(&[&["breakers", "--json"], words].concat())
            .exits(0)
            .json_lines();
        all.into_iter()
            .map(|breaker| (breaker["key"].clone(), breaker["state"].clone()))
            .collect::<Vec<_>>()
    };
    let told = breakers(&["--host", &serving.url]);
    assert!(told.contains(&(json!("search/search"), json!("open"))), "{told:?}");
    assert!(breakers(&[]).iter().all(|breaker| told.contains(breaker)), "{told:?}");
    // Bytes travel as they are.
    for (name, host) in [("here", None), ("there", Some(serving.url.as_str()))] {
        let typist = Typist { site: &site, host };
        let file = |end: &str| format!("{name}.{end}");
        typist
            .types(&["dlq", "export", &letter, "--coredump", &file("coredump")])
            .exits(0);
        let memory = [
            "dlq",
            "export",
            &letter,
            "--memory",
            "1:0",
            "--length",
            "0x110000",
            "--to",
            &file("bin"),
        ];
        typist.types(&memory).exits(0);
    }
    for end in ["coredump", "bin"] {
        let read = |name: &str| fs::read(site.path(&format!("{name}.{end}"))).unwrap();
        assert!(!read("here").is_empty() && read("here") == read("there"), "{end}");
    }
    // A component that is deployed there is checked here.
    site.write(
        "again.toml",
        &site
            .read("search.toml")
            .replace("\"search.wasm\"", &format!("\"{component}\"")),
    );
    Typist {
        site: &site,
        host: Some(&serving.url),
    }
    .types(&["check", "again.toml"])
    .exits(0);
    serving.end();
}

/// Everything that changes something, in one go: what was typed, how it ended, what it printed.
fn changes(site: &Site, host: Option<&str>) -> Vec<(String, i32, String)> {
    let typist = Typist { site, host };
    let mut told = Vec::new();
    let mut types = |words: &[&str]| {
        let ran = typist.types(words);
        told.push((words[..2.min(words.len())].join(" "), ran.code, masked(&ran.stdout)));
        ran
    };
    site.place("search", &[]);
    site.place("ledger", &[]);
    site.write(
        "broken.toml",
        "name = \"broken\"\nversion = \"1.0.0\"\ncomponent = \"none.wasm\"\ntimeuot = \"5x\"\n",
    );
    types(&["deploy", "broken.toml", "--json"]);
    types(&["deploy", "search.toml", "ledger.toml"]);
    types(&["deploy", "search.toml", "--json"]);
    types(&["call", "search.query", r#"{"text":"wasm"}"#]);
    types(&["call", "search.query", r#"{"text":"wasm"}"#, "--json"]);
    types(&["call", "search.query", r#"{"text":7}"#, "--json"]);
    types(&["call", "search.query", "{nonsense"]);
    types(&["call", "search.nothing"]);
    types(&["call", "nothing.at-all", "--json"]);
    let transfer = r#"{"from-account":"alice","to-account":"bob","amount":100}"#;
    types(&["call", "ledger.transfer", transfer, "--json"]);
    types(&["call", "ledger.transfer", transfer, "--key", "order \"42\"", "--json"]);
    types(&["call", "ledger.transfer", transfer, "--key", "order \"42\"", "--wait"]);
    types(&[
        "call",
        "ledger.transfer",
        r#"{"from-account":"alice","to-account":"bob","amount":7}"#,
        "--key",
        "order \"42\"",
    ]);
    types(&["tools", "disable", "search"]);
    types(&["call", "search.query", r#"{"text":"wasm"}"#]);
    types(&["tools", "enable", "search", "--json"]);
    types(&["tools", "enable", "nothing"]);
    site.status(Service::Search, 503, Some(5));
    let letter = types(&["call", "search.query", r#"{"text":"sandbox"}"#, "--json"]).letter();
    types(&["breakers", "reset", "search/search"]);
    types(&["breakers", "open", "search/search", "--json"]);
    types(&["breakers", "reset", "search/search", "--json"]);
    types(&["breakers", "open", "no/such"]);
    types(&["dlq", "pin", &letter, "--json"]);
    types(&["dlq", "purge", &letter, "--yes", "--json"]);
    types(&["dlq", "unpin", &letter]);
    types(&["dlq", "replay", &letter, "--json"]);
    types(&["dlq", "replay", &letter]);
    site.status(Service::Search, 503, Some(10));
    let other = types(&["call", "search.query", r#"{"text":"one"}"#, "--json"]).letter();
    types(&["breakers", "reset", "search/search"]);
    types(&["dlq", "replay", &other, "--input", "edited.json"]);
    site.write("edited.json", r#"{"text":"edited"}"#);
    types(&["dlq", "replay", &other, "--deadline", "20s"]);
    site.heal(Service::Search);
    types(&["breakers", "reset", "search/search"]);
    types(&["dlq", "replay", "--service", "search", "--json"]);
    types(&["dlq", "redrives"]);
    types(&["runs", "cancel", "run_00000000000000000000000000"]);
    types(&["runs", "resume", "run_00000000000000000000000000"]);
    types(&["tools", "remove", "ledger", "--yes"]);
    types(&["call", "ledger.transfer", transfer]);
    types(&["dlq", "retain", "--json"]);
    told
}

#[test]
fn what_is_done_elsewhere_comes_out_as_what_is_done_here() {
    let (near, far) = (Site::new(), Site::new());
    let serving = Serving::start(&far, &[EVERYBODY]);
    let here = changes(&near, None);
    let there = changes(&far, Some(&serving.url));
    for (here, there) in here.iter().zip(&there) {
        assert_eq!(there, here);
    }
    assert_eq!(far.upstreams().ledger().transfers.len(), 1);
    serving.end();
}

#[test]
fn a_call_that_nobody_waits_for_is_followed_from_elsewhere() {
    let site = Site::deployed(&["ledger"]);
    let serving = Serving::start(&site, &[EVERYBODY]);
    let typist = Typist {
        site: &site,
        host: Some(&serving.url),
    };
    let transfer = r#"{"from-account":"alice","to-account":"bob","amount":100}"#;
    let ran = typist
        .types(&["call", "ledger.transfer", transfer, "--key", "a", "--detach", "--json"])
        .exits(0);
    assert_eq!(ran.json()["state"], "accepted");
    let run = ran.json()["run"].as_str().unwrap().to_owned();
    let followed = typist.types(&["runs", "follow", &run]).exits(0);
    assert!(followed.stdout.contains("succeeded"), "{}", followed.shown());
    let again = typist
        .types(&["call", "ledger.transfer", transfer, "--key", "a", "--json"])
        .exits(0);
    assert_eq!(again.json()["stored"], true);
    assert_eq!(site.upstreams().ledger().transfers.len(), 1);
    serving.end();
}

/// An authority, and a certificate that it gives for those names, as files of a site.
fn certified(site: &Site, authority: &str, names: &[&str]) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    site.write(&format!("{authority}.pem"), &issuer.pem());
    site.write("cert.pem", &certificate.pem());
    site.write("key.pem", &key.serialize_pem());
    fs::set_permissions(site.path("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_host_that_speaks_tls_is_trusted_by_the_authority_that_is_named() {
    let site = Site::deployed(&["calculator"]);
    let tls = [EVERYBODY, "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    certified(&site, "other", &["127.0.0.1"]);
    certified(&site, "ours", &["127.0.0.1"]);
    let serving = Serving::start(&site, &tls);
    assert!(serving.url.starts_with("https://127.0.0.1:"), "{}", serving.url);
    let call = [
        "call",
        "calculator.evaluate",
        r#"{"expression":"6*7"}"#,
        "--host",
        &serving.url,
    ];
    let named = |ca: &str| site.fusebox(&[&call[..], &["--ca", ca]].concat());
    assert_eq!(named("ours.pem").exits(0).stdout.trim(), "42.0");
    let by_variable = site.fusebox_with(&[("FUSEBOX_CA", "ours.pem")], &call).exits(0);
    assert_eq!(by_variable.stdout.trim(), "42.0");
    // Neither the system's authorities nor another one signed it.
    let told = format!("the certificate of {}/ is not trusted", serving.url);
    for refused in [site.fusebox(&call), named("other.pem")] {
        refused.exits(19).says(&told).says("--ca FILE");
    }
    named("absent.pem").exits(64).says("absent.pem").says("--ca");
    named("key.pem").exits(64).says("key.pem gives no certificate");
    let plain = serving.url.replace("https://", "http://");
    site.fusebox(&["tools", "--host", &plain]).exits(19).says("https://");
    serving.end();

    certified(&site, "ours", &["fusebox.example"]);
    let serving = Serving::start(&site, &tls);
    let elsewhere = ["tools", "--host", &serving.url, "--ca", "ours.pem"];
    site.fusebox(&elsewhere)
        .exits(19)
        .says("is not trusted")
        .says("fusebox.example");
    serving.end();
}

/// Whoever may approve need not be let resume runs: the serving host goes on, and its end is told.
#[test]
fn an_approver_who_is_no_operator_sees_the_end_that_a_serving_host_brings_about() {
    let site = Site::with("recovery = { poll = \"100ms\" }\n");
    let required = ("[functions.send]\n", "[functions.send]\napproval = \"required\"\n");
    site.deploy_with("email", &[required]);
    let serving = Serving::start(&site, &[]);
    let key = |role: &str| {
        let made = site.fusebox(&["keys", "create", role, "--role", role]).exits(0);
        made.stdout.trim().to_owned()
    };
    let (caller, approver) = (key("caller"), key("approver"));
    let types = |key: &str, words: &[&str]| {
        let variables = [("FUSEBOX_KEY", key), ("FUSEBOX_HOST", &*serving.url)];
        site.fusebox_with(&variables, words)
    };
    let mail = r#"{"to":"a@example.com","subject":"s","body":"b"}"#;
    let ask = || {
        let error = types(&caller, &["call", "email.send", mail, "--json"]).exits(12).json()["error"].clone();
        let named = |name: &str| error[name].as_str().unwrap().to_owned();
        (named("run"), named("approval"))
    };
    let (run, question) = ask();
    types(&approver, &["runs", "resume", &run]).exits(11).says("operator");
    let approved = types(&approver, &["approvals", "approve", &question]).exits(0);
    assert!(approved.stderr.contains("is approved"), "{}", approved.shown());
    assert!(approved.stdout.contains("mail-1"), "{}", approved.shown());
    assert_eq!(site.upstreams().mails().len(), 1);

    let (run, question) = ask();
    let denied = types(&approver, &["approvals", "deny", &question]).exits(0);
    assert!(denied.stderr.contains("is declined"), "{}", denied.shown());
    assert!(
        denied.stderr.contains(&format!("goes on with {run}")),
        "{}",
        denied.shown()
    );
    eventually("the serving host ends what was declined", || {
        site.run(&run)["state"] == "failed"
    });
    assert_eq!(site.upstreams().mails().len(), 1);
    serving.end();
}

#[test]
fn a_person_decides_and_settles_from_elsewhere() {
    let site = Site::with("lease = \"1s\"\n");
    let place = [
        ("[services.mail]\n", "[services.mail]\ntimeout = \"300ms\"\n"),
        ("[functions.send]\n", "[functions.send]\napproval = \"required\"\n"),
    ];
    site.deploy_with("email", &place);
    let serving = Serving::start(&site, &[EVERYBODY]);
    let typist = Typist {
        site: &site,
        host: Some(&serving.url),
    };
    let call = [
        "call",
        "email.send",
        r#"{"to":"a@example.com","subject":"s","body":"b"}"#,
        "--json",
    ];
    let asked = |ran: Ran| ran.json()["error"]["approval"].as_str().unwrap().to_owned();
    let declined = asked(typist.types(&call).exits(12));
    typist
        .types(&["approvals", "deny", &declined, "--reason", "no"])
        .exits(0)
        .says("is declined");
    let shown = typist
        .types(&["approvals", "show", &declined, "--json"])
        .exits(0)
        .json();
    assert_eq!((&shown["by"], &shown["reason"]), (&json!("loopback"), &json!("no")));
    typist
        .types(&["approvals", "approve", &declined, "--by", "ann"])
        .exits(65)
        .says("--by");

    // The mail goes out, and its answer is lost: a person settles that.
    site.fault(Service::Mail, Fault::ExecuteThenReset, Some(1));
    let approved = asked(typist.types(&call).exits(12));
    let ran = typist.types(&["approvals", "approve", &approved, "--json"]).exits(15);
    let letter = ran.letter();
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    site.write(
        "answer.txt",
        "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\n\r\n{\"id\":\"mail-1\"}",
    );
    let happened = [
        "dlq",
        "resolve",
        &letter,
        "--effect",
        "1",
        "--as",
        "happened",
        "--response",
        "answer.txt",
    ];
    typist.types(&happened).exits(0).says("recorded");
    typist.types(&["dlq", "replay", &letter, "--json"]).exits(0);
    assert_eq!(site.upstreams().mails().len(), 1);
    serving.end();
}

#[test]
fn more_than_before_is_refused_by_the_hosts_own_rules_until_it_is_accepted() {
    let site = Site::deployed(&["search"]);
    let serving = Serving::start(&site, &[EVERYBODY]);
    let typist = Typist {
        site: &site,
        host: Some(&serving.url),
    };
    site.place(
        "search",
        &[("component = ", "limits = { memory = \"200MiB\" }\ncomponent = ")],
    );
    let ran = typist.types(&["deploy", "search.toml"]).exits(64).says("could not");
    let digest = ran.stderr.split("--accept ").nth(1).unwrap().trim().to_owned();
    let wrong = format!("sha256:{}", "0".repeat(64));
    typist.types(&["deploy", "search.toml", "--accept", &wrong]).exits(64);
    typist.types(&["deploy", "search.toml", "--accept", &digest]).exits(0);
    assert_eq!(site.fusebox(&["tools", "--json"]).exits(0).json_lines()[0]["number"], 2);
    serving.end();
}

#[test]
fn what_stands_in_the_way_is_named() {
    let site = Site::deployed(&["search"]);
    let serving = Serving::start(&site, &[]);
    let other = |host: &str| site.fusebox(&["tools", "--host", host]);
    // Nobody listens at a port that was let go of.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    other(&format!("http://{gone}"))
        .exits(19)
        .says("cannot be reached")
        .says("fusebox serve");
    other(&serving.url.replace("http://", "https://"))
        .exits(19)
        .says("does not speak TLS");
    other(&site.url(Service::Search)).exits(19).says("is not a Fusebox");
    other("127.0.0.1:7717").exits(64).says("https://");
    other(&serving.url)
        .exits(11)
        .says("no key was sent")
        .says("FUSEBOX_KEY");
    let with_key = |key: &str| {
        let variables = [("FUSEBOX_KEY", key), ("FUSEBOX_HOST", serving.url.as_str())];
        site.fusebox_with(&variables, &["tools"])
    };
    let ran = with_key("fbx_aaaaaaaaaaaa_nobody").exits(11).says("was refused");
    assert!(!ran.stderr.contains("nobody"), "a key is not printed: {}", ran.shown());
    site.fusebox(&["tools", "--host", &serving.url, "--key-file", "no-such.key"])
        .exits(64)
        .says("no-such.key");
    site.fusebox(&["tools", "--host", "https://127.0.0.1:1", "--ca", "search.toml"])
        .exits(64)
        .says("gives no certificate");
    serving.end();
}

#[test]
fn what_is_done_on_the_hosts_machine_alone_says_so() {
    let site = Site::deployed(&["search"]);
    let serving = Serving::start(&site, &[EVERYBODY]);
    let url = serving.url.clone();
    let host = url.as_str();
    for words in [
        &["secrets", "list", "--host", host][..],
        &["config", "show", "--host", host],
        &["serve", "--host", host],
        &[
            "debug",
            "ltr_00000000000000000000000000",
            "--effect",
            "1",
            "--host",
            host,
        ],
    ] {
        site.fusebox(words).exits(64).says("own machine").says("FUSEBOX_HOST");
    }
    let variables = [("FUSEBOX_HOST", host)];
    let set = ["secrets", "set", "KEY", "--host", "api.example"];
    site.fusebox_with(&variables, &set).exits(64).says("own machine");
    // What needs no host works as ever.
    site.fusebox_with(&variables, &["explain", "FB0106"]).exits(0);
    site.fusebox_with(&variables, &["try", "search.wasm"]).exits(0);
    let found = site
        .fusebox_with(&variables, &["doctor", "--json"])
        .exits(0)
        .json_lines();
    let what: Vec<_> = found.iter().map(|checkup| checkup["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["host", "version", "key"]);
    assert!(found[2]["found"].as_str().unwrap().contains("operator"), "{found:?}");
    serving.end();
    site.fusebox_with(&variables, &["doctor"]).exits(1);
}
