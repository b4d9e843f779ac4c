//! The rules in force: whoever looks after the host sees them, tries them, and finds a change of them in the audit trail.

use crate::audit::{self, Deed, Entry};
use crate::authorize;
use crate::engine::Engine;
use crate::offer;
use crate::ports::authorizer::{Act, Decision, Question};
use crate::records::{ApprovalRecord, RunRecord, Seed};
use crate::refusals;
use crate::requests::{Caller, digest_of};
use fusebox_core::failure::Failure;
use fusebox_core::ids::{ApprovalId, Digest, RunId};
use fusebox_core::role::Roles;
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use serde_json::json;
use std::sync::Arc;

/// A question that nobody asks in earnest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Who would ask.
    pub principal: String,
    /// What they would be to the host.
    pub roles: Roles,
    /// What they would want.
    pub act: Act,
    /// Deployed tool.
    pub tool: String,
    /// Exported function; `None` for a deploy.
    pub function: Option<String>,
    /// The arguments, as a caller would write them.
    pub input: String,
    /// Of a nested call: the functions that it comes from, the root's first.
    pub chain: Vec<String>,
    /// Who made the run that is replayed or waits; the same principal when nobody is named.
    pub run_by: Option<String>,
}

/// Tells the rules the types of a tenant's tools, as far as their compiled code is at hand: rules are worth no compilation.
pub(crate) async fn learn(engine: &Engine, tenant: &str) -> Result<(), Box<Failure>> {
    for tool in offer::all(engine, tenant).await? {
        match engine.ports.sandbox.cached(tool.component).await {
            Some(component) => engine
                .ports
                .authorizer
                .learn(tenant, &tool.name, &component.shape().functions),
            None => tracing::debug!(
                tool = tool.name,
                "not compiled here, so rules are not checked against it"
            ),
        }
    }
    Ok(())
}

/// Watches which rules are in force until the host takes no more work.
pub(crate) async fn work(engine: Arc<Engine>) {
    match engine.ports.store.tenants().await {
        Ok(tenants) => {
            for tenant in tenants {
                if let Err(failure) = learn(&engine, &tenant).await {
                    tracing::warn!(tenant, %failure, "rules are not checked against the tools of a tenant");
                }
            }
        }
        Err(error) => tracing::warn!(%error, "rules are not checked against the deployed tools"),
    }
    let mut version = engine.ports.authorizer.version();
    while !engine.tasks.is_draining() {
        tokio::select! {
            () = engine.ports.clock.sleep(engine.settings.recovery_poll) => {}
            () = engine.tasks.draining().cancelled() => {}
        }
        let now = engine.ports.authorizer.version();
        if now != version {
            version = now;
            changed(&engine, now).await;
        }
    }
}

/// Says in the audit trail that other rules are in force. They come from files, so that nobody here knows who wrote them.
async fn changed(engine: &Engine, version: u64) {
    let rules = engine.ports.authorizer.rules();
    let text: String = rules
        .iter()
        .map(|rule| format!("{}\n{}\n", rule.name, rule.text))
        .collect();
    let detail = json!({ "version": version, "rules": rules.len(), "digest": digest_of(text.as_bytes()).to_string() });
    let host = Caller {
        principal: Arc::from("host"),
        ..Caller::local()
    };
    if let Err(error) = audit::record(engine, &host, Entry::done(Deed::ChangeRules, "rules", detail)).await {
        tracing::error!(%error, "the audit trail does not tell that other rules are in force");
    }
}

/// What the rules say to a trial.
pub(crate) async fn judge(engine: &Arc<Engine>, caller: &Caller, trial: &Trial) -> Result<Decision, Box<Failure>> {
    let asks = Caller {
        principal: Arc::from(trial.principal.as_str()),
        roles: trial.roles,
        ..caller.clone()
    };
    let Some(name) = trial.function.as_deref().filter(|_| trial.act != Act::Deploy) else {
        let question = authorize::about(&asks, trial.act, &trial.tool);
        return Ok(engine.ports.authorizer.decide(&question).await);
    };
    let tool = engine.catalog.refresh(engine, &caller.tenant, &trial.tool).await?;
    let function = tool.function(name)?;
    let input = tool
        .component
        .decode(&function.name, &trial.input, tool.limits.host_memory)
        .map_err(|what| refusals::bad_input(&trial.tool, name, &what))?;
    let run = run_of(&asks, trial, tool.record.component);
    let approval = approval_of(&run);
    let question = Question {
        function: Some(name),
        arguments: authorize::arguments(&tool, name, input.as_ref()),
        run: (trial.act != Act::Call).then_some(&run),
        approval: (trial.act == Act::Approve).then_some(&approval),
        chain: &trial.chain,
        ..authorize::about(&asks, trial.act, &trial.tool)
    };
    Ok(engine.ports.authorizer.decide(&question).await)
}

/// A run that was never made.
fn run_of(caller: &Caller, trial: &Trial, component: Digest) -> RunRecord {
    let principal = trial.run_by.as_deref().unwrap_or(&trial.principal);
    RunRecord {
        id: RunId::new(Wall(0), 0),
        tenant: caller.tenant.to_string(),
        tool: trial.tool.clone(),
        function: trial.function.clone().unwrap_or_default(),
        component,
        version: 0,
        principal: principal.to_owned(),
        roles: Roles::CALLER,
        state: State::Suspended.name().to_owned(),
        key: None,
        fingerprint: digest_of(trial.input.as_bytes()),
        input: trial.input.clone(),
        created: 0,
        finished: None,
        output: None,
        failure: None,
        attempts: Vec::new(),
        in_doubt: Vec::new(),
        letter: None,
        trace: None,
        nested: None,
        detached: false,
        recoveries: 0,
        until: None,
        approval: None,
        left_ms: None,
        clock: 0,
        seed: Seed::default(),
    }
}

/// A question about it.
fn approval_of(run: &RunRecord) -> ApprovalRecord {
    ApprovalRecord {
        id: ApprovalId::new(Wall(0), 0),
        tenant: run.tenant.clone(),
        state: "pending".to_owned(),
        root: run.id.clone(),
        run: run.id.clone(),
        tool: run.tool.clone(),
        function: run.function.clone(),
        component: run.component,
        binding: run.fingerprint,
        question: String::new(),
        input: run.input.clone(),
        because: String::new(),
        principal: run.principal.clone(),
        asked: 0,
        expires: 0,
        by: None,
        reason: None,
        decided: None,
    }
}
