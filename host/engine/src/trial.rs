//! One attempt of a component that is not deployed: no store, no retry, breakers of its own.

use crate::attempt::attempt;
use crate::breakers::Cell;
use crate::catalog::{Tool, tool_breaker, tool_key};
use crate::engine::Engine;
use crate::failures;
use crate::ports::sandbox::AttemptEnd;
use crate::records::ToolRecord;
use crate::refusals;
use crate::requests::{Call, Caller, Trial, Tried};
use crate::runs::Run;
use crate::services::Service;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::retry::Attempts;
use std::sync::Arc;

/// Tries a component.
pub(crate) async fn run(engine: Arc<Engine>, caller: Caller, trial: Trial) -> Result<Tried, Box<Failure>> {
    let tool = Arc::new(load(&engine, &caller, &trial).await?);
    let function = tool.function(&trial.function)?;
    let input = tool
        .component
        .decode(&function.name, &trial.input, tool.limits.host_memory)
        .map_err(|what| refusals::bad_input(&tool.policy.name, &function.name, &what))?;
    let call = Call {
        tool: tool.policy.name.clone(),
        function: trial.function,
        input: trial.input,
        key: None,
        wait: None,
        deadline: None,
        detach: false,
    };
    let mut run = Run::new(&engine, &caller, &call, &tool, function, input).in_memory();
    let permit = tool.breaker.admit(engine.ports.clock.tick());
    let permit = permit.map_err(|refusal| refusals::breaker_open(tool.breaker.key(), tool.breaker.key(), refusal))?;
    let attempted = attempt(&engine, &mut run, permit, Attempts::of(1)).await;
    let failure = attempted
        .judgement
        .as_ref()
        .map(|judgement| failures::of_attempt(&run, &attempted, judgement));
    let in_short = failure.as_ref().map(|_| failures::in_short(&run, &attempted));
    let record = attempted.record(in_short.unwrap_or_default());
    let result = match (failure, attempted.report.end) {
        (Some(failure), _) => Err(Box::new(failure)),
        (None, AttemptEnd::Ok { json }) => Ok(json),
        (None, _) => Err(refusals::internal("an attempt was judged well that did not end well")),
    };
    Ok(Tried {
        result,
        attempt: record,
        backtrace: attempted.report.backtrace,
        log: attempted.report.log,
    })
}

async fn load(engine: &Engine, caller: &Caller, trial: &Trial) -> Result<Tool, Box<Failure>> {
    let loaded = engine.inspect(trial.wasm.clone()).await;
    let (digest, component) =
        loaded.map_err(|error| Box::new(Failure::new(Code::BadInput, Class::Caller, error.to_string())))?;
    let policy = trial.policy.clone();
    let alone = |key: &str, policy| Cell::alone(&engine.ports.clock, &engine.ports.entropy, key, policy);
    let services = policy.services.iter().map(|service| {
        let breaker = alone(&service.name, &service.breaker);
        Arc::new(Service::new(&service.name, service.clone(), breaker, None, None))
    });
    let services = services.collect();
    let breaker = alone(&tool_key(&policy.name), &tool_breaker(&policy));
    let record = ToolRecord {
        tenant: caller.tenant.to_string(),
        name: policy.name.clone(),
        number: 0,
        version: policy.version.clone(),
        component: digest,
        manifest: String::new(),
        source: String::new(),
        deployed: engine.ports.clock.wall().0,
        enabled: true,
        links: Vec::new(),
    };
    Ok(Tool::assemble(record, policy, component, services, breaker, None))
}
