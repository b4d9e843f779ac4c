//! What is run: each suite is one client, or one of its transports.

use super::site::Site;
use super::{api, packages};
use anyhow::Result;

/// One client against the host.
pub(super) struct Suite {
    pub(super) name: &'static str,
    pub(super) run: fn(&Site) -> Result<()>,
}

const fn suite(name: &'static str, run: fn(&Site) -> Result<()>) -> Suite {
    Suite { name, run }
}

/// All of them, in the order in which they run.
pub(super) const ALL: &[Suite] = &[
    suite("conformance 2025-06-18", |site| {
        conformance(site, RELEASED, "2025-06-18")
    }),
    suite("conformance 2025-11-25", |site| {
        conformance(site, RELEASED, "2025-11-25")
    }),
    suite("conformance 2026-07-28", |site| conformance(site, NEXT, "2026-07-28")),
    suite("typescript sdk 1 stdio", |site| node(site, "sdk1.mjs", "stdio")),
    suite("typescript sdk 1 http", |site| node(site, "sdk1.mjs", "http")),
    suite("typescript sdk 2 stdio", |site| node(site, "sdk2.mjs", "stdio")),
    suite("typescript sdk 2 http", |site| node(site, "sdk2.mjs", "http")),
    suite("typescript tasks http", |site| node(site, "tasks.mjs", "http")),
    suite("python sdk stdio 2025-11-25", |site| {
        python(site, &["scenario.py", "stdio", "legacy"])
    }),
    suite("python sdk http 2025-11-25", |site| {
        python(site, &["scenario.py", "http", "legacy"])
    }),
    suite("python sdk stdio 2026-07-28", |site| {
        python(site, &["scenario.py", "stdio", "2026-07-28"])
    }),
    suite("python sdk http 2026-07-28", |site| {
        python(site, &["scenario.py", "http", "2026-07-28"])
    }),
    suite("inspector stdio", |site| node(site, "inspector.mjs", "stdio")),
    suite("inspector http", |site| node(site, "inspector.mjs", "http")),
    suite("openai-agents stdio", |site| python(site, &["agent.py", "stdio"])),
    suite("openai-agents http", |site| python(site, &["agent.py", "http"])),
    suite("schemathesis", api::schemathesis),
];

/// The conformance suite of the older revisions of the protocol.
const RELEASED: &str = "@modelcontextprotocol/conformance";
/// The one that knows revision 2026-07-28 too; no release of it does yet.
const NEXT: &str = "conformance-2026";

/// What a suite does not hold the host to stands in a file with its reason; what of it holds all the same is a failure too.
fn conformance(site: &Site, package: &str, revision: &str) -> Result<()> {
    site.forget_letters()?;
    let script = format!("node_modules/{package}/dist/index.js");
    let baseline = packages::sources().join(format!("conformance/baseline-{revision}.yml"));
    let results = site.folder().join(format!("conformance-{revision}"));
    site.run(
        site.node()?
            .script(&script)
            .args(["server", "--suite", "all", "--spec-version", revision, "--url"])
            .arg(format!("{}/mcp", site.url()))
            .arg("--expected-failures")
            .arg(baseline)
            .arg("--output-dir")
            .arg(results),
    )
}

fn node(site: &Site, script: &str, transport: &str) -> Result<()> {
    site.run(site.node()?.script(script).arg(transport))
}

fn python(site: &Site, arguments: &[&str]) -> Result<()> {
    let [script, arguments @ ..] = arguments else {
        return Ok(());
    };
    site.run(site.python()?.script(script).args(arguments))
}
