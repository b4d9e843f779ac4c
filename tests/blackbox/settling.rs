//! Letters in doubt, settled by a person from the command line; and how long letters are kept.

use crate::site::{Ran, Site};
use fusebox_simulator::{Fault, Service};
use serde_json::{Value, json};

fn mail() -> Value {
    json!({ "to": "ann@example.com", "subject": "Hello", "body": "Once is enough" })
}

/// A mail that was sent, and whose answer was lost.
fn in_doubt() -> (Site, String) {
    let site = Site::with("lease = \"1s\"\n");
    site.deploy_with(
        "email",
        &[("[services.mail]\n", "[services.mail]\ntimeout = \"300ms\"\n")],
    );
    site.fault(Service::Mail, Fault::ExecuteThenReset, Some(1));
    let letter = site.call("email.send", &mail()).exits(15).letter();
    // It may be settled once its effect cannot be under way any more.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    (site, letter)
}

fn sent(site: &Site) -> usize {
    site.requests(Service::Mail).len()
}

#[track_caller]
fn resolve(site: &Site, letter: &str, words: &[&str]) -> Ran {
    site.fusebox(&[&["dlq", "resolve", letter], words].concat())
}

#[test]
fn the_letter_says_what_to_type() {
    let (site, letter) = in_doubt();
    let shown = site.fusebox(&["dlq", "show", &letter]).exits(0).stdout;
    for part in [
        "IN DOUBT",
        "waits until a person has settled effect #1",
        &format!("fusebox dlq resolve {letter} --effect 1 --as happened --response FILE"),
        &format!("fusebox dlq resolve {letter} --effect 1 --as not-happened"),
        &format!("fusebox dlq resolve {letter} --close succeeded --output FILE"),
    ] {
        assert!(shown.contains(part), "`{part}` is not in\n{shown}");
    }
    site.fusebox(&["dlq", "replay", &letter])
        .exits(15)
        .says("fusebox dlq resolve");
}

#[test]
fn what_happened_is_served_to_the_component() {
    let (site, letter) = in_doubt();
    site.write(
        "answer.txt",
        "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\n\r\n{\"id\":\"mail-1\"}",
    );
    let ran = resolve(
        &site,
        &letter,
        &["--effect", "1", "--as", "happened", "--response", "answer.txt"],
    )
    .exits(0);
    assert!(
        ran.stdout.contains(&format!("fusebox dlq replay {letter}")),
        "{}",
        ran.shown()
    );
    assert_eq!(site.letter(&letter)["kind"], "retryable");
    let ran = site.fusebox(&["dlq", "replay", &letter, "--json"]).exits(0);
    assert!(ran.stdout.contains("mail-1"), "{}", ran.shown());
    assert_eq!(sent(&site), 1, "nothing was sent again");
    assert_eq!(site.letter(&letter)["state"], "replayed");
}

#[test]
fn the_response_may_be_json_from_a_pipe() {
    let (site, letter) = in_doubt();
    let answer =
        json!({ "status": 202, "headers": { "content-type": "application/json" }, "body": { "id": "mail-1" } });
    let line = [
        "dlq",
        "resolve",
        &letter,
        "--effect",
        "1",
        "--as",
        "happened",
        "--response",
        "-",
        "--json",
    ];
    let ran = site.pipe(&line, answer.to_string().as_bytes()).exits(0);
    assert_eq!(
        (ran.json()["id"].as_str(), ran.json()["kind"].as_str()),
        (Some(letter.as_str()), Some("retryable"))
    );
    let ran = site.fusebox(&["dlq", "replay", &letter]).exits(0);
    assert!(ran.stdout.contains("mail-1"), "{}", ran.shown());
    assert_eq!(sent(&site), 1);
}

#[test]
fn what_did_not_happen_is_made_when_the_run_goes_on() {
    let (site, letter) = in_doubt();
    resolve(&site, &letter, &["--effect", "1", "--as", "not-happened"])
        .exits(0)
        .says("recorded");
    assert_eq!(sent(&site), 1, "resolving sends nothing");
    site.fusebox(&["dlq", "replay", &letter]).exits(0);
    assert_eq!(sent(&site), 2, "a person has said that the first was not");
}

#[test]
fn a_run_is_closed_as_a_person_knows_it() {
    let (site, letter) = in_doubt();
    let run = site.letter(&letter)["run"]["id"].as_str().unwrap().to_owned();
    resolve(
        &site,
        &letter,
        &["--close", "failed", "--reason", "the customer was told"],
    )
    .exits(0)
    .says("resolved");
    assert_eq!(site.letter(&letter)["state"], "resolved");
    let ended = site.run(&run);
    assert_eq!(ended["state"], "failed");
    assert!(
        ended["failure"].to_string().contains("the customer was told"),
        "{ended}"
    );

    let (site, letter) = in_doubt();
    let run = site.letter(&letter)["run"]["id"].as_str().unwrap().to_owned();
    site.write("result.json", "\"mail-1\"");
    resolve(&site, &letter, &["--close", "succeeded", "--output", "result.json"]).exits(0);
    assert_eq!(
        (site.run(&run)["state"].as_str(), site.run(&run)["output"].as_str()),
        (Some("succeeded"), Some("\"mail-1\""))
    );
    assert_eq!((sent(&site), site.letters().len()), (1, 0));
    // What is closed is closed.
    let again = resolve(&site, &letter, &["--close", "failed"]);
    assert_ne!(again.code, 0, "{}", again.shown());
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let (site, letter) = in_doubt();
    let before = site.letter(&letter);
    site.write("broken.txt", "HTTP/1.1 200 OK\r\nno end of the headers");
    site.write("text.txt", "it worked, she says");
    for (words, what) in [
        (&[][..], "--effect"),
        (&["--effect", "1"], "--as"),
        (&["--effect", "0", "--as", "not-happened"], "0"),
        (&["--effect", "1", "--as", "maybe"], "not-happened"),
        (&["--effect", "1", "--as", "happened"], "--response"),
        (
            &["--effect", "1", "--as", "not-happened", "--response", "text.txt"],
            "--response",
        ),
        (
            &["--effect", "1", "--as", "happened", "--response", "missing.txt"],
            "missing.txt",
        ),
        (
            &["--effect", "1", "--as", "happened", "--response", "broken.txt"],
            "broken.txt: no empty line",
        ),
        (
            &["--effect", "1", "--as", "happened", "--response", "text.txt"],
            "curl -i",
        ),
        (&["--close", "failed", "--effect", "1"], "--effect"),
        (&["--close", "failed", "--output", "text.txt"], "no output"),
        (&["--close", "succeeded"], "--output"),
        (&["--effect", "1", "--as", "not-happened", "--run", "mine"], "a run id"),
    ] {
        resolve(&site, &letter, words).exits(64).says(what);
    }
    let other = resolve(&site, &letter, &["--effect", "7", "--as", "not-happened"]);
    assert_ne!(other.code, 0, "{}", other.shown());
    let unknown = "ltr_01jd4m9q7gk0v3x8w2h5t6y1ze";
    resolve(&site, unknown, &["--close", "failed"]).exits(16).says(unknown);
    assert_eq!(site.letter(&letter), before);
}

/// A site with two equal known-bad letters and one of another kind.
fn known_bad() -> (Site, Vec<String>) {
    let site = Site::deployed(&["faulty"]);
    let call = |function: &str| site.call(function, &json!({})).exits(21).letter();
    let letters = vec![call("faulty.trap"), call("faulty.trap"), call("faulty.out-of-bounds")];
    (site, letters)
}

#[test]
fn known_bad_letters_are_counted_and_grouped() {
    let (site, letters) = known_bad();
    let groups = site
        .fusebox(&["dlq", "list", "--groups", "--json"])
        .exits(0)
        .json_lines();
    let counts: Vec<_> = groups.iter().map(|group| group["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2, 1], "most first: {groups:?}");
    assert_eq!(groups[0]["function"], "trap");
    assert_eq!(groups[0]["fingerprint"], site.letter(&letters[0])["fingerprint"]);
    assert!(groups[0]["frames"].to_string().contains("abort"), "{}", groups[0]);
    let list = site.fusebox(&["dlq", "--groups"]).exits(0).stdout;
    assert_eq!(list.lines().count(), 2);
    assert!(list.starts_with("2\tfault\tfaulty.trap\t"), "{list}");
    assert_eq!(
        site.fusebox(&["dlq", "--groups", "--tool", "search"]).exits(0).stderr,
        "no known-bad letters\n"
    );

    let stats = site.fusebox(&["dlq", "stats", "--json"]).exits(0).json();
    assert_eq!(
        (
            stats["open"].as_u64(),
            stats["known-bad"].as_u64(),
            stats["in-doubt"].as_u64()
        ),
        (Some(3), Some(3), Some(0))
    );
    assert_eq!(stats["by-class"], json!({ "fault": 3 }));
    assert_eq!(stats["groups"].as_array().unwrap().len(), 2);
    let shown = site.fusebox(&["dlq", "stats"]).exits(0).stdout;
    assert!(
        shown.contains("known bad 3, in 2 group(s)") && shown.contains("fusebox dlq list --groups"),
        "{shown}"
    );
    let empty = Site::new().fusebox(&["dlq", "stats"]).exits(0).stdout;
    assert!(empty.starts_with("open      0\n"), "{empty}");
}

#[test]
fn a_pinned_letter_stays() {
    let (site, letters) = known_bad();
    let id = letters[0].as_str();
    site.fusebox(&["dlq", "pin", id]).exits(0).says("is pinned");
    assert!(site.fusebox(&["dlq", "list"]).exits(0).stdout.contains("open, pinned"));
    let dry = site
        .fusebox(&["dlq", "purge", "--tool", "faulty", "--dry-run", "--json"])
        .exits(0)
        .json();
    assert_eq!(dry["would-stay"], json!([id]));
    assert_eq!(dry["would-close"].as_array().unwrap().len(), 2);
    assert_eq!(site.letters().len(), 3, "a dry run closes none");
    site.fusebox(&["dlq", "purge", "--tool", "faulty", "--yes"])
        .exits(0)
        .says("2 letter(s) closed")
        .says("stays");
    assert_eq!(site.letters().len(), 1);
    site.fusebox(&["dlq", "unpin", id]).exits(0);
    site.fusebox(&["dlq", "purge", id, "--yes"])
        .exits(0)
        .says("1 letter(s) closed");
    let unknown = "ltr_01jd4m9q7gk0v3x8w2h5t6y1ze";
    for word in ["pin", "unpin"] {
        site.fusebox(&["dlq", word, unknown]).exits(16).says(unknown);
        site.fusebox(&["dlq", word]).exits(64);
    }
}

#[test]
fn retention_is_told_before_it_is_done() {
    let site = Site::with("[retention]\nknown-bad = \"1s\"\nletters = \"1s\"\n");
    site.deploy("faulty");
    let id = site.call("faulty.trap", &json!({})).exits(21).letter();
    site.status(Service::Search, 503, None);
    let input = json!({ "upstream": "search", "path": "/v1/query?q=x&limit=1" });
    let pinned = site.call("faulty.unwrap-on-503", &input).exits(13).letter();
    site.fusebox(&["dlq", "pin", &pinned]).exits(0);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let dry = site.fusebox(&["dlq", "retain", "--dry-run", "--json"]).exits(0).json();
    assert_eq!((&dry["would-close"], &dry["would-stay"]), (&json!([id]), &json!([])));
    assert_eq!(site.letters().len(), 2);
    site.fusebox(&["dlq", "retain"]).exits(0).says("are gone");
    let left: Vec<_> = site.letters().iter().map(|letter| letter["id"].clone()).collect();
    assert_eq!(left, [pinned.as_str()]);
}
