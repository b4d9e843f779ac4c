//! schemathesis: calls every operation of the OpenAPI document with good and bad input, and holds the answers to the document.

mod world;

use super::site::{self, Site};
use crate::process;
use crate::stage::Stage;
use anyhow::{Result, ensure};

/// The same examples each time.
const SEED: &str = "7717";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
const ROLES: [&str; 4] = ["caller", "approver", "operator", "deployer"];

/// Operations that take away what the others need: the key, and the tools.
const ENDING: &str = "^(keys-revoke|tools-remove)$";

/// Runs it against a host of its own, for it opens breakers, makes keys and settles letters as it pleases.
pub(super) fn schemathesis(site: &Site) -> Result<()> {
    let stage = Stage::open("clients-api", "debug", "listen = { rate = \"none\" }\n")?;
    world::make(&stage)?;
    let authorization = format!("Authorization: Bearer {}", site::key(&stage, &ROLES)?);
    let mut serving = stage.serve(&["--http", "127.0.0.1:0"], "serve.log")?;
    let document = format!("{}/v1/openapi.json", serving.url()?);
    let run = |what: &str, seconds: &str, arguments: &[&str]| {
        println!("  {what}");
        process::run(
            site.python()?
                .program("schemathesis")
                .args([
                    "run",
                    &document,
                    "--checks",
                    CHECKS,
                    "--seed",
                    SEED,
                    "--max-time",
                    seconds,
                ])
                .args(["--max-examples", "15", "--workers", "1", "--request-timeout", "20"])
                .args(["--phases", "fuzzing", "--continue-on-failure", "--no-color"])
                .args(arguments)
                .current_dir(stage.folder()),
        )
    };
    let by_key = ["--header", &authorization];
    run(
        "by a key that may do everything",
        "50",
        &[&by_key[..], &["--exclude-operation-id-regex", ENDING]].concat(),
    )?;
    run("by nobody", "10", &["--warnings", "off"])?;
    run(
        "by that key, until it ends",
        "5",
        &[
            &by_key[..],
            &["--include-operation-id-regex", ENDING, "--warnings", "off"],
        ]
        .concat(),
    )?;
    let ended = serving.drain()?;
    ensure!(ended.success(), "the host ended with {ended}:\n{}", serving.said()?);
    Ok(())
}
