//! What is refused: each with a code and a place, and with everything left as it was.

mod components;
mod growth;
mod manifests;
mod settings;

use crate::site::{Ran, Site};
use std::fs;

/// What a refusal must not change.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    tools: String,
    database: String,
    files: Vec<String>,
}

fn kept(site: &Site) -> Kept {
    let mut files: Vec<_> = fs::read_dir(site.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        // The files in which SQLite keeps what is not in the database's own yet come and go.
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    files.sort();
    Kept {
        tools: site.fusebox(&["tools", "--json"]).exits(0).stdout,
        database: site.sql(".dump"),
        files,
    }
}

/// Types a command that is refused as a wrong file or line, and looks whether anything has changed.
#[track_caller]
fn refused(site: &Site, arguments: &[&str]) -> Ran {
    let before = kept(site);
    let ran = site.fusebox(arguments).exits(64);
    assert_eq!(kept(site), before, "{}", ran.shown());
    ran
}

/// The codes of the findings that are errors.
#[track_caller]
fn codes(ran: &Ran) -> Vec<String> {
    let findings = ran.json()["findings"].clone();
    let findings = findings.as_array().unwrap_or_else(|| panic!("{}", ran.shown()));
    let errors = findings.iter().filter(|finding| finding["severity"] == "error");
    errors
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect()
}
