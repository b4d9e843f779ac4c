//! What `fusebox doctor` looks at: settings, database, waiting runs, cache, compiler, secrets.

use crate::database::Database;
use crate::wire::Process;
use fusebox_core::run::State as RunState;
use fusebox_core::time::Wall;
use fusebox_engine::ports::clock::{Clock, SystemClock};
use fusebox_engine::ports::store::{RunFilter, Store};
use fusebox_engine::records::RunRecord;
use fusebox_engine::requests::Caller;
use fusebox_faces::cli::{Checkup, Failed, SecretKeeper, State, Wiring};
use fusebox_manifest::render::brief;
use std::path::Path;
use std::time::Duration;

/// The smallest component: it is compiled to see that the compiler's process works.
const SMALLEST: &[u8] = b"\0asm\x0d\0\x01\0";

/// What somebody who has no tool does next.
const FIRST_STEP: &str = "`fusebox init NAME --lang python` makes a tool; `fusebox deploy` and its folder deploy it";

/// A serving host takes what waits within so much time, unless it is full.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// So many runs of a state are looked at, newest first.
const MOST_WAITING: u32 = 1_000;

/// Looks at everything.
pub(crate) async fn checkup(process: &Process) -> Vec<Checkup> {
    let mut found = Vec::new();
    let config = match process.config() {
        Ok(config) => config,
        Err(failed) => return vec![unwell("settings", &failed)],
    };
    found.push(match &config.file {
        Some(file) => well("settings", file.display().to_string()),
        None => Checkup {
            what: "settings".to_owned(),
            state: State::Note,
            found: "there is no fusebox.toml here or above; every setting has its default".to_owned(),
            help: Some("`fusebox config show` lists them".to_owned()),
        },
    });
    found.extend(config.warnings.iter().map(|warning| Checkup {
        what: "settings".to_owned(),
        state: State::Note,
        found: brief(warning),
        help: warning.help.clone(),
    }));
    found.extend(database(process, &config.database).await);
    found.extend(blobs(process).await);
    found.push(match process.scratch().await {
        Ok(host) => match host.inspect(SMALLEST.to_vec().into()).await {
            // It has no function; the compiler has to be well to find that out.
            Err(error) if error.code == fusebox_manifest::NO_FUNCTION => {
                well("compiler and cache", config.cache.display().to_string())
            }
            Ok(_) => well("compiler and cache", config.cache.display().to_string()),
            Err(error) => Checkup {
                what: "compiler and cache".to_owned(),
                state: State::Unwell,
                found: error.to_string(),
                help: Some(format!("`fusebox explain {}` says more", error.code)),
            },
        },
        Err(failed) => unwell("compiler and cache", &failed),
    });
    found.extend(rules(process, &config.rules).await);
    found.push(match process.keeper().and_then(|keeper| keeper.list()) {
        Ok(secrets) => well(
            "secrets",
            format!("{} known, {}", secrets.len(), config.secrets.display()),
        ),
        Err(failed) => unwell("secrets", &failed),
    });
    found
}

/// The rule files; their types are checked where there is a database with tools.
async fn rules(process: &Process, folder: &Path) -> Vec<Checkup> {
    let host = match process.config() {
        Ok(config) if !config.database.is_to_come() => process.local("looking at the rules").await,
        _ => process.scratch().await,
    };
    let caller = Caller::local();
    let found = async {
        let host = host?;
        Ok::<_, Failed>((host.rule_findings(&caller).await?, host.rules(&caller)?))
    };
    match found.await {
        Ok((findings, rules)) if findings.is_empty() && rules.is_empty() => {
            vec![well("rules", "none: roles alone decide".to_owned())]
        }
        Ok((findings, rules)) if findings.is_empty() => {
            vec![well("rules", format!("{} in force, {}", rules.len(), folder.display()))]
        }
        Ok((findings, _)) => findings
            .into_iter()
            .map(|finding| Checkup {
                what: "rules".to_owned(),
                state: if finding.is_error { State::Unwell } else { State::Note },
                found: format!("{}: {}", finding.place, finding.message),
                help: finding.help,
            })
            .collect(),
        Err(failed) => vec![unwell("rules", &failed)],
    }
}

async fn database(process: &Process, database: &Database) -> Vec<Checkup> {
    if database.is_to_come() {
        return vec![Checkup {
            what: "database".to_owned(),
            state: State::Note,
            found: format!("{database} is created when it is first needed"),
            help: Some(FIRST_STEP.to_owned()),
        }];
    }
    let store = match process.open().await {
        Ok(opened) => opened.store,
        Err(failed) => return vec![out_of_order(database, unwell("database", &failed).found)],
    };
    let tenant = Caller::local().tenant;
    let found = match store.tools(&tenant).await {
        Ok(tools) if tools.is_empty() => Checkup {
            what: "database".to_owned(),
            state: State::Note,
            found: format!("{database}, no tool is deployed"),
            help: Some(FIRST_STEP.to_owned()),
        },
        Ok(tools) => well("database", format!("{database}, {} tool(s)", tools.len())),
        Err(error) => return vec![out_of_order(database, error.to_string())],
    };
    vec![found, waiting(&*store, database, &tenant).await]
}

/// Where components and pages are, if not in the database: something is put there, read and removed.
async fn blobs(process: &Process) -> Option<Checkup> {
    let what = "components and pages";
    let blobs = match process.blobs() {
        Ok(blobs) => blobs?,
        Err(failed) => return Some(unwell(what, &failed)),
    };
    Some(match blobs.check().await {
        Ok(()) => well(what, blobs.to_string()),
        Err(error) => Checkup {
            what: what.to_owned(),
            state: State::Unwell,
            found: error.to_string(),
            help: Some("`fusebox explain FB0309` says how a place is set".to_owned()),
        },
    })
}

/// Whether runs wait that only a serving host goes on with: where one serves, they are taken within seconds.
async fn waiting(store: &dyn Store, database: &Database, tenant: &str) -> Checkup {
    let now = SystemClock::new().wall();
    let overdue = |run: &RunRecord| now.since(Wall(run.until.unwrap_or(run.created))) > TAKEN_WITHIN;
    let mut found = 0;
    for state in [RunState::Accepted, RunState::Sleeping] {
        let filter = RunFilter {
            state: Some(state.name().to_owned()),
            limit: MOST_WAITING,
            ..RunFilter::default()
        };
        match store.runs(tenant, &filter).await {
            Ok(runs) => found += runs.iter().filter(|run| overdue(run)).count(),
            Err(error) => return out_of_order(database, error.to_string()),
        }
    }
    if found == 0 {
        return well("serving", "no run waits for a host".to_owned());
    }
    Checkup {
        what: "serving".to_owned(),
        state: State::Note,
        found: format!("{found} run(s) wait, and no host has taken them: none serves, or all are full"),
        help: Some("`fusebox serve` goes on with them".to_owned()),
    }
}

fn out_of_order(database: &Database, found: String) -> Checkup {
    let help = match database {
        Database::File(_) => "look at the file, its folder and the room on its disk",
        Database::Postgres(_) => "try the same URL with `psql` from this machine",
    };
    Checkup {
        what: "database".to_owned(),
        state: State::Unwell,
        found,
        help: Some(help.to_owned()),
    }
}

fn well(what: &str, found: String) -> Checkup {
    Checkup {
        what: what.to_owned(),
        state: State::Well,
        found,
        help: None,
    }
}

fn unwell(what: &str, failed: &Failed) -> Checkup {
    let (found, help) = failed.brief();
    Checkup {
        what: what.to_owned(),
        state: State::Unwell,
        found,
        help: Some(help),
    }
}
