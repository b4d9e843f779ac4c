//! Components and pages in a store that speaks S3's protocol.

use crate::site::{Bucket, PATIENCE, Running, SECRET, Site, eventually, runtime};
use fusebox_simulator::Service;
use fusebox_test_postgres::{Database, Server};
use serde_json::json;
use std::fs;
use std::sync::Arc;

/// A site with a tool, which puts components and pages into a bucket.
fn site(database: &str) -> (Site, Bucket) {
    let bucket = Bucket::start();
    let mut site = Site::with(&format!("{database}\n{}", bucket.settings()));
    Bucket::admit(&mut site);
    site.deploy("search");
    (site, bucket)
}

/// A search that gives up on its upstream, which is well again then.
fn letter(site: &Site) -> String {
    site.status(Service::Search, 503, Some(5));
    let letter = site.call("search.query", &json!({ "text": "wasm" })).exits(13).letter();
    site.fusebox(&["breakers", "reset", "search/search"]).exits(0);
    letter
}

/// Reads memory that a letter keeps.
#[track_caller]
fn read_memory(site: &Site, letter: &str) {
    let shown = site.letter(letter);
    let instances = shown["snapshot"]["instances"].as_array().unwrap();
    let kept = |instance: &serde_json::Value| Some(!instance["memories"].as_array()?.is_empty());
    let instance = instances
        .iter()
        .position(|instance| kept(instance) == Some(true))
        .unwrap();
    site.fusebox(&["dlq", "show", letter, "--memory", &format!("{instance}:0")])
        .exits(0);
}

#[test]
fn what_one_host_deployed_and_kept_another_fetches() {
    let database = runtime().block_on(Database::empty(Arc::new(Server::shared())));
    let (site, bucket) = site(&format!("database = \"{}\"", database.url()));
    assert_eq!(bucket.keys("/default/components/").len(), 1);
    // A host that has compiled nothing.
    let elsewhere = site.path("cache").display().to_string();
    let other = [("FUSEBOX_CACHE", elsewhere.as_str()), ("FUSEBOX_COMPILE_TIME", "10m")];
    let mut call = site.command(&["call", "search.query", r#"{"text":"wasm"}"#, "--json"]);
    call.envs(other);
    site.status(Service::Search, 503, Some(5));
    let given_up = Running::start(&mut call, 10 * PATIENCE).wait().exits(13).letter();
    site.fusebox(&["breakers", "reset", "search/search"]).exits(0);
    assert!(!bucket.keys("/default/pages/").is_empty());
    read_memory(&site, &given_up);
    site.fusebox(&["dlq", "replay", &given_up]).exits(0);
    assert_eq!(site.letters().len(), 0);
}

#[test]
fn calls_go_on_without_the_place_and_deploys_wait_for_it() {
    let (site, bucket) = site("");
    site.place("calculator", &[]);
    drop(bucket);
    site.call("search.query", &json!({ "text": "wasm" })).exits(0);
    site.fusebox(&["deploy", "calculator.toml"])
        .exits(19)
        .says("s3://fusebox/test at http://127.0.0.1:")
        .says("Look whether it is up");
    let tools = site.fusebox(&["tools", "--json"]).exits(0).json_lines();
    assert_eq!(tools.len(), 1, "{tools:?}");
    let letter = letter(&site);
    assert!(site.letter(&letter)["snapshot"].is_null());
    site.fusebox(&["dlq", "show", &letter]).exits(0);
    site.fusebox(&["dlq", "replay", &letter]).exits(0);
    let ran = site.fusebox(&["doctor"]).exits(1);
    assert!(ran.stdout.contains("components and pages"), "{}", ran.shown());
}

#[test]
fn what_is_forgotten_takes_its_objects_along() {
    let (site, bucket) = site("");
    let purged = letter(&site);
    read_memory(&site, &purged);
    assert!(!bucket.keys("/pages/").is_empty());
    // A page that was put a moment ago may belong to a letter that is being written.
    site.sql("UPDATE pages SET put_at = put_at - 3600000");
    site.fusebox(&["dlq", "purge", &purged, "--yes"]).exits(0);
    assert_eq!(bucket.keys("/pages/"), Vec::<String>::new());

    letter(&site);
    assert!(!bucket.keys("/pages/").is_empty());
    site.sql("UPDATE pages SET put_at = put_at - 40 * 86400000");
    site.sql("UPDATE letters SET expires = expires - 40 * 86400000");
    let serving = site.start(&["serve"]);
    eventually("retention removes the pages", || bucket.keys("/pages/").is_empty());
    serving.terminate();
    serving
        .wait()
        .exits(0)
        .says("components and pages are put into s3://fusebox/test at http://127.0.0.1:");
    assert_eq!(bucket.keys("/components/").len(), 1);
    site.fusebox(&["tools", "remove", "search", "--yes"]).exits(0);
    assert_eq!(bucket.keys(""), Vec::<String>::new());
}

#[test]
fn what_is_in_the_database_is_read_from_there_and_what_opens_the_place_is_shown_nowhere() {
    let mut site = Site::deployed(&["search"]);
    let first = letter(&site);
    let bucket = Bucket::start();
    let settings = site.read("fusebox.toml");
    site.write("fusebox.toml", &format!("{settings}\n{}", bucket.settings()));
    Bucket::admit(&mut site);
    read_memory(&site, &first);
    site.deploy("calculator");
    assert_eq!(bucket.keys("/components/").len(), 1);
    let serving = site.start(&["serve", "--json"]);
    eventually("it serves", || serving.printed().contains("serving"));
    serving.terminate();
    let all = [
        serving.wait().exits(0),
        site.fusebox(&["config", "show"]).exits(0),
        site.fusebox(&["config", "show", "--json"]).exits(0),
        site.fusebox(&["doctor"]).exits(0),
        site.fusebox_with(&[("RUST_LOG", "trace")], &["doctor"]).exits(0),
    ];
    assert!(
        all[3].stdout.contains("s3://fusebox/test at http://127.0.0.1:"),
        "{}",
        all[3].shown()
    );
    for ran in all {
        assert!(
            !ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET),
            "{}",
            ran.shown()
        );
    }
    assert!(!String::from_utf8_lossy(&fs::read(site.path("fusebox.db")).unwrap()).contains(SECRET));
    // Back to the database alone: what is elsewhere is missed, and nothing else.
    site.write("fusebox.toml", &settings);
    site.call("search.query", &json!({ "text": "wasm" })).exits(0);
    let elsewhere = site.path("cache").display().to_string();
    site.fusebox_with(
        &[("FUSEBOX_CACHE", &elsewhere)],
        &["call", "calculator.evaluate", r#"{"expression":"1"}"#],
    )
    .exits(19)
    .says("kept outside of the database")
    .says("blobs.store");
}

#[test]
fn a_place_that_cannot_be_one_is_told_with_its_line() {
    let site = Site::new();
    let settings = site.read("fusebox.toml");
    let wrong = [
        (
            "store = \"https://minio.example/fusebox\"",
            "it does not begin with s3://",
        ),
        ("store = \"s3://key:secret@fusebox\"", "the name of a bucket"),
        ("store = \"s3://fusebox/../x\"", "a prefix has"),
        (
            "store = \"s3://fusebox\"\nendpoint = \"http://minio.example:9000\"",
            "at another machine, minio.example, and without TLS",
        ),
    ];
    for (lines, why) in wrong {
        site.write("fusebox.toml", &format!("{settings}[blobs]\n{lines}\n"));
        let ran = site.fusebox(&["tools"]).exits(64).says("FB0309").says(why);
        assert!(!ran.stderr.contains("secret@"), "{}", ran.shown());
    }
}
