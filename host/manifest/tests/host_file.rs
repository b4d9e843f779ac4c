//! The operator's file, variables and flags: what wins, what is refused, and what is shown.

#![allow(clippy::unwrap_used, clippy::panic)]

use fusebox_manifest::render::{Style, render};
use fusebox_manifest::{HostFile, KeyPlace, Presets, SecretSource, SetBy, Source, host_template, settings};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn shown(text: &str) -> String {
    let (host, findings) = HostFile::read("fusebox.toml", text, &Presets::embedded());
    assert!(host.is_none(), "a broken file gave settings");
    render(&findings, Style::Plain)
}

#[test]
fn without_a_file_every_setting_has_its_documented_default() {
    let host = HostFile::default();
    assert_eq!(
        (host.lease, host.drain),
        (Duration::from_secs(30), Duration::from_secs(30))
    );
    assert_eq!(
        (host.max_calls, host.log.as_str(), host.pool_instances),
        (256, "warn", 256)
    );
    assert_eq!(host.retention.letters, Duration::from_secs(30 * 86_400));
    assert_eq!(host.retention.keys, Duration::from_secs(86_400));
    assert_eq!(host.retention.failed_journals, Duration::from_secs(7 * 86_400));
    assert_eq!((host.recovery_cap, host.recovery_poll), (5, Duration::from_secs(1)));
    assert_eq!(
        (host.approval_expires, host.auto_replay_max, host.letters_quota),
        (Duration::from_secs(86_400), 3, Some(10_000))
    );
    assert_eq!(
        (host.auto_replay_rate.requests, host.auto_replay_rate.per),
        (60, Duration::from_secs(60))
    );
    assert_eq!(
        (
            host.alerts.letters_per_minute,
            host.alerts.oldest_age,
            host.alerts.webhook.clone(),
            host.encryption_key.clone()
        ),
        (10, Some(Duration::from_secs(86_400)), None, None)
    );
    assert_eq!(
        (host.compile_memory, host.compile_time),
        (2 << 30, Duration::from_secs(120))
    );
    assert_eq!((host.database.clone(), host.guest_threads), (None, None));
    for (row, setting) in host.rows().iter().zip(settings()) {
        assert_eq!(row.key, setting.key);
        assert_eq!(row.set_by, SetBy::Default, "{}", row.key);
        assert!(!setting.doc.is_empty());
    }
}

/// `policies/host.toml` is made from the table of settings; write it anew from what this test prints.
#[test]
fn the_file_that_documents_every_setting_is_right_and_changes_nothing() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/host.toml")).unwrap();
    assert!(
        text == host_template(),
        "policies/host.toml should be:\n{}",
        host_template()
    );
    let (host, findings) = HostFile::read("host.toml", &text, &Presets::embedded());
    assert_eq!(findings, []);
    let values = |host: &HostFile| host.rows().into_iter().map(|row| row.value).collect::<Vec<_>>();
    assert_eq!(values(&host.unwrap()), values(&HostFile::default()));
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let source = Source {
        file: Some((
            "fusebox.toml",
            "lease = \"10s\"\ndrain = \"10s\"\ndatabase = \"data/f.db\"\nmax-calls = 5\n",
        )),
        variables: map(&[
            ("FUSEBOX_LEASE", "20s"),
            ("FUSEBOX_DRAIN", "20s"),
            ("FUSEBOX_NETWORK_ALLOW", "127.0.0.1, 10.0.0.0/8:80"),
            ("PATH", "/bin"),
        ]),
        flags: map(&[("--lease", "40s")]),
    };
    let (host, findings) = HostFile::merge(&source, &Presets::embedded());
    assert_eq!(findings, []);
    let host = host.unwrap();
    assert_eq!(
        (host.lease, host.drain, host.max_calls),
        (Duration::from_secs(40), Duration::from_secs(20), 5)
    );
    assert_eq!(host.network.len(), 2);
    let origin = |key: &str| {
        host.rows()
            .into_iter()
            .find(|row| row.key == key)
            .unwrap()
            .set_by
            .to_string()
    };
    assert_eq!(origin("lease"), "flag --lease");
    assert_eq!(origin("drain"), "variable FUSEBOX_DRAIN");
    assert_eq!(origin("max-calls"), "fusebox.toml:4");
    assert_eq!(origin("log"), "default");
    let database = host.database.unwrap();
    assert_eq!(
        database.resolve(Path::new("/etc/f"), Path::new("/home/u")),
        Path::new("/etc/f/data/f.db")
    );
}

#[test]
fn the_folder_of_presets_is_known_before_the_presets_are() {
    let source = |text| Source {
        file: Some(("fusebox.toml", text)),
        ..Source::default()
    };
    let text = "policies = \"mine\"\n[services.a]\nhosts = [\"a.example\"]\nbreaker = \"slow\"\n";
    let folder = HostFile::policies(&source(text)).unwrap();
    assert_eq!((folder.path.as_str(), folder.from_file), ("mine", true));
    let mut presets = Presets::embedded();
    assert!(HostFile::merge(&source(text), &presets).0.is_none());
    assert_eq!(
        presets.add(
            "slow",
            "mine/slow.toml",
            "[retry]\nattempts = 2\n[breaker]\ncooldown = \"1m\"\n"
        ),
        []
    );
    let host = HostFile::merge(&source(text), &presets).0.unwrap();
    assert_eq!(host.services[0].breaker.cooldown, Duration::from_secs(60));
    assert_eq!(HostFile::policies(&source("not toml")), None);
}

#[test]
fn a_path_from_a_flag_is_relative_to_the_working_directory() {
    let source = Source {
        flags: map(&[("--database", "f.db")]),
        ..Source::default()
    };
    let host = HostFile::merge(&source, &Presets::embedded()).0.unwrap();
    assert_eq!(
        host.database.unwrap().resolve(Path::new("/etc"), Path::new("/home/u")),
        Path::new("/home/u/f.db")
    );
}

#[test]
fn every_setting_can_be_set_by_variable_and_by_flag() {
    let presets = Presets::embedded();
    let defaults = HostFile::default().rows();
    for setting in settings() {
        let value = match setting.default.trim_matches('"') {
            "" | "[]" if setting.key == "network.allow" => "10.0.0.0/8",
            "[]" => "a,{name}",
            "" if setting.key.ends_with("timeout") || setting.key.ends_with("deadline") => "3s",
            "" if setting.key == "alerts.webhook" => "https://hooks.example/x?y=1",
            "" if setting.key == "otlp.endpoint" => "http://127.0.0.1:4318",
            "" if setting.key == "blobs.store" => "s3://fusebox/production",
            "" if setting.key == "blobs.endpoint" => "http://127.0.0.1:9000",
            "" => "3",
            "60/min" | "1000/s" => "5/s",
            text if setting.key == "log" => ["info", text][usize::from(text != "warn")],
            _ if setting.key == "secrets.source" => "environment",
            _ if setting.key == "log-format" => "json",
            _ if setting.key == "blobs.plain-http" => "anywhere",
            "24h" => "25h",
            text if text.ends_with(['s', 'm', 'd']) => "9d",
            text if text.ends_with('B') => "9MiB",
            _ => "9",
        };
        for (variables, flags) in [
            (map(&[(&setting.variable, value)]), BTreeMap::new()),
            (BTreeMap::new(), map(&[(&setting.flag, value)])),
        ] {
            let (host, findings) = HostFile::merge(
                &Source {
                    file: None,
                    variables,
                    flags,
                },
                &presets,
            );
            let rows = host.unwrap_or_else(|| panic!("{}: {findings:?}", setting.key)).rows();
            let changed: Vec<_> = rows
                .iter()
                .zip(&defaults)
                .filter(|(a, b)| a.value != b.value)
                .map(|(a, _)| a.key.as_str())
                .collect();
            assert_eq!(changed, [setting.key.as_str()], "{value}");
        }
    }
}

#[test]
fn mistakes_in_variables_and_flags_name_them() {
    let source = Source {
        file: None,
        variables: map(&[
            ("FUSEBOX_LEASE", "soon"),
            ("FUSEBOX_DRIAN", "5s"),
            ("FUSEBOX_SECRET_A", "v"),
        ]),
        flags: map(&[("--max-calls", "0"), ("--nothing", "1")]),
    };
    let (host, findings) = HostFile::merge(&source, &Presets::embedded());
    assert!(host.is_none());
    insta::assert_snapshot!(render(&findings, Style::Plain));
}

#[test]
fn every_problem_of_the_file_is_found_at_once() {
    insta::assert_snapshot!(shown(
        r#"database = "mysql://root:hunter2@db/fusebox"
leese = "30s"
log = "loud"

[network]
allow = ["0.0.0.0/0", "169.254.0.0/16", "10.0.0.1/8"]

[retention]
keys = "1h"

[secrets]
source = "command"
command = ["pass"]
[secrets.hosts]
K = ["s.example/path"]

[services.a]
hosts = ["x.example"]
breaker = "none-such"
[services.b]
hosts = ["x.example"]

[encryption]
key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="

[alerts]
webhook = "hooks.example/T0KEN"
letters-per-minute = 0

[letters]
quota = "many"

[recovery]
cap = 0
poll = "0s"

[ceilings]
memory = "lots"
"#
    ));
}

#[test]
fn the_key_of_encryption_is_a_file_or_a_secret() {
    let place = |text: &str| {
        let text = format!("[encryption]\nkey = \"{text}\"\n");
        let (host, findings) = HostFile::read("fusebox.toml", &text, &Presets::embedded());
        host.unwrap_or_else(|| panic!("{findings:?}")).encryption_key.unwrap()
    };
    assert_eq!(
        place("${secret:DATABASE_KEY}"),
        KeyPlace::Secret("DATABASE_KEY".to_owned())
    );
    let KeyPlace::File(file) = place("keys/database.key") else {
        panic!("a path is a file")
    };
    assert_eq!(
        file.resolve(Path::new("/etc/f"), Path::new("/home/u")),
        Path::new("/etc/f/keys/database.key")
    );
    assert!(shown("[encryption]\nkey = \"${secret:a b}\"\n").contains("FB0105"));
}

#[test]
fn the_path_of_a_webhook_is_not_shown() {
    let text = "[alerts]\nwebhook = \"https://hooks.example:8443/T0KEN\"\nletters-per-minute = 5\noldest-age = \"none\"\n[letters]\nquota = \"none\"\n";
    let host = HostFile::read("fusebox.toml", text, &Presets::embedded()).0.unwrap();
    let webhook = host.alerts.webhook.as_ref().unwrap();
    assert_eq!((webhook.origin.port, webhook.path.as_str()), (8443, "/T0KEN"));
    assert_eq!((host.alerts.oldest_age, host.letters_quota), (None, None));
    let rows = host.rows();
    let value = |key: &str| rows.iter().find(|row| row.key == key).unwrap().value.as_str();
    assert_eq!(value("alerts.webhook"), "https://hooks.example:8443/…");
    assert_eq!((value("alerts.oldest-age"), value("letters.quota")), ("none", "none"));
}

#[test]
fn a_webhook_at_a_private_address_needs_a_rule() {
    let findings = |network: &str| {
        let text = format!("[alerts]\nwebhook = \"http://127.0.0.1:8801/alerts\"\n[network]\nallow = [{network}]\n");
        HostFile::read("fusebox.toml", &text, &Presets::embedded()).1
    };
    let found = findings("");
    assert_eq!((found.len(), found[0].code), (1, "FB0307"));
    assert_eq!(found[0].span.as_ref().unwrap().line, 2);
    assert_eq!(findings("\"127.0.0.1:8801\""), []);
    assert_eq!(findings("\"127.0.0.1:8802\"").len(), 1);
}

#[test]
fn secrets_are_granted_by_the_file_and_by_their_own_store() {
    let text =
        "[secrets]\nsource = \"command\"\ncommand = [\"pass\", \"{name}\"]\n[secrets.hosts]\nK = [\"a.example\"]\n";
    let mut host = HostFile::read("fusebox.toml", text, &Presets::embedded()).0.unwrap();
    assert_eq!(host.secrets.source, SecretSource::Command);
    let origin = |text: &str| fusebox_manifest::units::origin(text).unwrap();
    assert!(host.secrets.permits("K", &origin("a.example")));
    assert!(!host.secrets.permits("K", &origin("http://a.example")));
    assert!(!host.secrets.permits("L", &origin("a.example")));
    host.secrets.grant("L", origin("a.example"));
    assert!(host.secrets.permits("L", &origin("a.example")));
}
