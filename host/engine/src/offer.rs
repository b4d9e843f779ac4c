//! What a caller may call, as lists show it: what the rules can never permit is left out.

use crate::catalog::Tool;
use crate::engine::Engine;
use crate::host::ToolView;
use crate::ports::authorizer::Listing;
use crate::records::ToolRecord;
use crate::refusals;
use crate::requests::Caller;
use fusebox_core::component::FunctionShape;
use fusebox_core::failure::Failure;
use std::sync::Arc;

/// A tool, and those of its functions that a caller may be permitted to call.
#[derive(Clone)]
pub struct Offer {
    /// The tool.
    pub tool: ToolView,
    /// The functions, in the order of the component.
    pub functions: Vec<FunctionShape>,
}

/// Every tool of a tenant, by name.
pub(crate) async fn all(engine: &Engine, tenant: &str) -> Result<Vec<ToolRecord>, Box<Failure>> {
    let tools = engine.ports.store.tools(tenant).await;
    tools.map_err(|error| refusals::store("the tools cannot be listed", &error))
}

/// The enabled tools that have something for the caller. One that cannot be loaded has nothing for anybody.
pub(crate) async fn offered(engine: &Arc<Engine>, caller: &Caller) -> Result<Vec<Offer>, Box<Failure>> {
    let mut offered = Vec::new();
    for record in all(engine, &caller.tenant)
        .await?
        .into_iter()
        .filter(|tool| tool.enabled)
    {
        match engine.catalog.get(engine, &caller.tenant, &record.name).await {
            Ok(tool) => {
                let functions = functions(engine, caller, &tool);
                if !functions.is_empty() {
                    let tool = ToolView::of(&tool);
                    offered.push(Offer { tool, functions });
                }
            }
            Err(failure) => tracing::warn!(tool = record.name, %failure, "the tool is not listed"),
        }
    }
    Ok(offered)
}

/// The functions of a tool that the rules may permit to the caller, whatever they look at in its arguments.
pub(crate) fn functions(engine: &Engine, caller: &Caller, tool: &Tool) -> Vec<FunctionShape> {
    let listed = |shape: &&FunctionShape| {
        engine.ports.authorizer.may_list(&Listing {
            tenant: &caller.tenant,
            principal: &caller.principal,
            roles: caller.roles,
            tool: &tool.policy.name,
            function: &shape.name,
        })
    };
    let shapes = &tool.component.shape().functions;
    shapes.iter().filter(listed).cloned().collect()
}
