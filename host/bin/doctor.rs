//! What `fusebox doctor` looks at: settings, database, cache, compiler, secrets, roots.

use crate::wire::Process;
use fusebox_engine::ports::store::Store;
use fusebox_engine::requests::Caller;
use fusebox_faces::cli::{Checkup, Failed, SecretKeeper, State, Wiring};
use fusebox_manifest::render::brief;
use std::path::Path;

/// The smallest component: it is compiled to see that the compiler's process works.
const SMALLEST: &[u8] = b"\0asm\x0d\0\x01\0";

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
    found.push(database(process, &config.database).await);
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
    found.push(match process.keeper().and_then(|keeper| keeper.list()) {
        Ok(secrets) => well(
            "secrets",
            format!("{} known, {}", secrets.len(), config.secrets.display()),
        ),
        Err(failed) => unwell("secrets", &failed),
    });
    found
}

async fn database(process: &Process, path: &Path) -> Checkup {
    if !path.exists() {
        return Checkup {
            what: "database".to_owned(),
            state: State::Note,
            found: format!("{} is created when it is first needed", path.display()),
            help: None,
        };
    }
    let store = match process.store().await {
        Ok(store) => store,
        Err(failed) => {
            return Checkup {
                help: Some("look at the file, its folder and the room on its disk".to_owned()),
                ..unwell("database", &failed)
            };
        }
    };
    match store.tools(&Caller::local().tenant).await {
        Ok(tools) => well("database", format!("{}, {} tool(s)", path.display(), tools.len())),
        Err(error) => Checkup {
            what: "database".to_owned(),
            state: State::Unwell,
            found: error.to_string(),
            help: Some("look at the file, its folder and the room on its disk".to_owned()),
        },
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
