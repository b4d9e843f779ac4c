//! schemathesis: calls every operation of the OpenAPI document with good and bad input, and holds the answers to the document.

use super::site::{self, Site};
use crate::process;
use crate::stage::Stage;
use anyhow::{Result, ensure};

/// Seconds for all operations together.
const TIME: &str = "60";
/// Of each operation at most so many calls in each phase.
const EXAMPLES: &str = "15";
/// The same examples each time.
const SEED: &str = "7717";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
const ROLES: [&str; 4] = ["caller", "approver", "operator", "deployer"];

/// Runs it against a host of its own, for it removes tools, opens breakers and makes keys as it pleases.
pub(super) fn schemathesis(site: &Site) -> Result<()> {
    let stage = Stage::open("clients-api", "debug", "listen = { rate = \"none\" }\n")?;
    site::succeed(&stage, &["deploy", "calculator.toml", "email.toml"])?;
    let authorization = format!("Authorization: Bearer {}", site::key(&stage, &ROLES)?);
    let mut serving = stage.serve(&["--http", "127.0.0.1:0"], "serve.log")?;
    let document = format!("{}/v1/openapi.json", serving.url()?);
    process::run(
        site.python()?
            .program("schemathesis")
            .args(["run", &document, "--checks", CHECKS, "--seed", SEED])
            .args(["--max-examples", EXAMPLES, "--max-time", TIME, "--workers", "1"])
            .args(["--phases", "fuzzing", "--continue-on-failure", "--no-color"])
            .args(["--header", &authorization])
            .current_dir(stage.folder()),
    )?;
    let ended = serving.drain()?;
    ensure!(ended.success(), "the host ended with {ended}:\n{}", serving.said()?);
    Ok(())
}
