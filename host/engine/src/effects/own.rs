//! What a guest asks of the host itself: its keyed store, the tools that it may call, its own run.

use super::Way;
use super::ledger::Ending;
use crate::offer;
use crate::ports::sandbox::{Got, Offered, Scope, StateAsk, Told};
use crate::ports::store::{Space, StateWrite};
use crate::records::millis;
use fusebox_core::effect::Answer;
use fusebox_core::policy::Durability;
use std::time::Duration;

/// Bytes of a key at most.
const LONGEST_KEY: usize = 512;
/// Bytes of a value at most.
const LARGEST_VALUE: usize = 1 << 20;

impl Ending {
    /// Something that the host did itself.
    pub(super) fn done(got: Got) -> Self {
        Self {
            answer: Answer::Done,
            got,
            reason: None,
            took: Duration::ZERO,
            cut: false,
            rejected: false,
        }
    }
}

impl Way {
    /// Reads the keyed store, or says what is to be written to it.
    pub(super) async fn state(&self, seq: u32, scope: Scope, ask: StateAsk) -> (Ending, Vec<StateWrite>) {
        if self.facts.durability == Durability::None {
            let why = format!(
                "{}.{} keeps no state: its durability is `none`",
                self.facts.tool.policy.name, self.facts.function.name
            );
            return (Ending::refused(why), Vec::new());
        }
        let space = match scope {
            Scope::Tool => Space::Tool(self.facts.tool.policy.name.clone()),
            Scope::Run => Space::Run(self.facts.id.clone()),
        };
        match self.keyed(seq, space, ask).await {
            Ok((got, writes)) => (Ending::done(got), writes),
            Err(why) => (Ending::refused(why), Vec::new()),
        }
    }

    async fn keyed(&self, seq: u32, space: Space, ask: StateAsk) -> Result<(Got, Vec<StateWrite>), String> {
        let (store, tenant) = (&self.engine.ports.store, &self.facts.tenant);
        match ask {
            StateAsk::Get { key } => {
                let value = store.state(tenant, &space, checked(&key)?).await;
                let value = value.map_err(|error| format!("the state cannot be read: {error}"))?;
                Ok((Got::Value(value), Vec::new()))
            }
            StateAsk::List { prefix } => {
                let keys = store.state_keys(tenant, &space, &prefix).await;
                let keys = keys.map_err(|error| format!("the state cannot be read: {error}"))?;
                Ok((Got::Keys(keys), Vec::new()))
            }
            StateAsk::Set { key, value } => {
                checked(&key)?;
                let size = value.as_ref().map_or(0, bytes::Bytes::len);
                if size > LARGEST_VALUE {
                    return Err(format!(
                        "the value of `{key}` has {size} bytes; {LARGEST_VALUE} are the most"
                    ));
                }
                self.intend(seq)
                    .await
                    .map_err(|error| format!("the state cannot be written: {error}"))?;
                Ok((Got::Value(None), vec![StateWrite { space, key, value }]))
            }
        }
    }

    /// The functions that this run may call.
    pub(super) async fn offered(&self) -> Ending {
        let mut offered = Vec::new();
        let policy = &self.facts.tool.policy;
        let caller = self.facts.caller();
        let mut names: Vec<_> = policy.tools.iter().map(|grant| grant.tool.as_str()).collect();
        names.dedup();
        for name in names {
            // A tool that is gone or switched off is not offered.
            let Ok(tool) = self.engine.catalog.get(&self.engine, &self.facts.tenant, name).await else {
                continue;
            };
            for shape in offer::functions(&self.engine, &caller, &tool) {
                if policy.may_call(name, &shape.name) {
                    let described = tool.policy.function(&shape.name).description.clone();
                    offered.push(Offered {
                        tool: name.to_owned(),
                        function: shape.name.clone(),
                        description: described
                            .or_else(|| tool.policy.description.clone())
                            .unwrap_or_default(),
                    });
                }
            }
        }
        Ending::done(Got::Tools(offered))
    }

    /// The schemas of one of them.
    pub(super) async fn described(&self, name: &str, function: &str) -> Ending {
        let described = async {
            if !self.facts.tool.policy.may_call(name, function) {
                return None;
            }
            let tool = self
                .engine
                .catalog
                .get(&self.engine, &self.facts.tenant, name)
                .await
                .ok()?;
            let policy = tool.policy.function(function);
            let schemas = tool.component.schemas(function, &policy.params)?;
            let description = policy.description.clone().or_else(|| tool.policy.description.clone());
            let described = serde_json::json!({
                "description": description.unwrap_or_default(),
                "input": schemas.input,
                "output": schemas.output,
            });
            Some(described.to_string())
        };
        Ending::done(Got::Described(described.await))
    }

    /// What the run is told of itself.
    pub(super) fn told(&self) -> Ending {
        let left = self.latest.since(self.engine.ports.clock.tick());
        Ending::done(Got::Context(Told {
            run: self.facts.id.to_string(),
            attempt: self.number,
            key: self.facts.key.clone(),
            left_ms: millis(left),
            replay: self.replay,
            principal: self.facts.principal.to_string(),
        }))
    }
}

fn checked(key: &str) -> Result<&str, String> {
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(format!(
            "a key has 1 to {LONGEST_KEY} bytes; this one has {}",
            key.len()
        ));
    }
    // Not every database can keep it in a text.
    if key.contains('\0') {
        return Err("a key has no character U+0000".to_owned());
    }
    Ok(key)
}
