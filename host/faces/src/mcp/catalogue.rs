//! Deployed functions as MCP tools: names, descriptions, schemas, and annotations that are true because the host enforces them.

use super::result_tool;
use fusebox_core::failure::Failure;
use fusebox_core::ids::Digest;
use fusebox_core::policy::{FunctionPolicy, Idempotency, ToolPolicy};
use fusebox_core::role::Roles;
use fusebox_core::time::Tick;
use fusebox_engine::host::{Host, ToolView};
use fusebox_engine::ports::clock::Clock;
use fusebox_engine::requests::Caller;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The deployed tools are looked for at most so often.
const FRESH: Duration = Duration::from_secs(1);

/// Callers whose lists are kept.
const MOST_CALLERS: usize = 1024;

/// What model providers allow in the name of a tool.
const LONGEST_NAME: usize = 64;

/// The interface by which a component keeps values between its runs.
const STATE: &str = "fusebox:host/state";

/// One function as a tool.
#[derive(Clone)]
pub(super) struct Entry {
    /// Deployed tool.
    pub(super) tool: String,
    /// Exported function.
    pub(super) function: String,
    /// Number of the tool's version.
    pub(super) version: i64,
    /// Its policy.
    pub(super) policy: Arc<ToolPolicy>,
    /// What clients see.
    pub(super) shown: Tool,
    /// Schema of its result.
    pub(super) output: Option<Arc<JsonObject>>,
    /// Whether that schema is of an object that the host puts around the result.
    pub(super) wrapped: bool,
}

impl Entry {
    /// The function's own policy.
    pub(super) fn function_policy(&self) -> &FunctionPolicy {
        self.policy.function(&self.function)
    }
}

/// Tools by their names.
pub(super) type Entries = BTreeMap<String, Arc<Entry>>;

/// What is known of the tools, by tenant, and of what each caller may call of them.
#[derive(Default)]
pub(super) struct Catalogue {
    built: Mutex<HashMap<Arc<str>, HashMap<String, Built>>>,
    callers: Mutex<HashMap<Who, Arc<Slot>>>,
}

/// Every function of one version of a tool.
#[derive(Clone)]
struct Built {
    version: Version,
    entries: Vec<Arc<Entry>>,
}

/// What a tool's entries are made from.
type Version = (i64, Digest);

/// Whoever sees the same list.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Who {
    tenant: Arc<str>,
    principal: Arc<str>,
    roles: Roles,
}

#[derive(Default)]
struct Slot {
    known: tokio::sync::Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    at: Tick,
    entries: Arc<Entries>,
}

impl Catalogue {
    /// What the caller may call; at most a second old.
    pub(super) async fn entries(
        &self,
        host: &Host,
        clock: &dyn Clock,
        caller: &Caller,
    ) -> Result<Arc<Entries>, Box<Failure>> {
        let slot = self.slot(caller);
        let mut known = slot.known.lock().await;
        let now = clock.tick();
        if let Some(known) = &*known
            && now.since(known.at) < FRESH
        {
            return Ok(Arc::clone(&known.entries));
        }
        let mut offered = Vec::new();
        for (view, functions) in offers(host, caller).await? {
            let entries = self.built(&caller.tenant, &view);
            offered.extend(entries.into_iter().filter(|entry| functions.contains(&entry.function)));
        }
        let entries = Arc::new(by_name(offered));
        *known = Some(Known {
            at: now,
            entries: Arc::clone(&entries),
        });
        Ok(entries)
    }

    /// The entries of a version of a tool, made once.
    fn built(&self, tenant: &Arc<str>, view: &ToolView) -> Vec<Arc<Entry>> {
        let version = (view.record.number, view.record.component);
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let tools = built.entry(Arc::clone(tenant)).or_default();
        match tools.get(&view.record.name) {
            Some(known) if known.version == version => known.entries.clone(),
            _ => {
                let entries = entries_of(view);
                let made = Built {
                    version,
                    entries: entries.clone(),
                };
                tools.insert(view.record.name.clone(), made);
                entries
            }
        }
    }

    fn slot(&self, caller: &Caller) -> Arc<Slot> {
        let who = Who {
            tenant: Arc::clone(&caller.tenant),
            principal: Arc::clone(&caller.principal),
            roles: caller.roles,
        };
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MOST_CALLERS && !callers.contains_key(&who) {
            // Those in use are held by whoever uses them, and made anew for the next.
            callers.clear();
        }
        Arc::clone(callers.entry(who).or_default())
    }
}

/// The tools that are switched on, each with the functions that the caller may call.
async fn offers(host: &Host, caller: &Caller) -> Result<Vec<(ToolView, Vec<String>)>, Box<Failure>> {
    let offered = host.offered(caller).await?.into_iter().map(|offer| {
        let functions = offer.functions.into_iter().map(|shape| shape.name).collect();
        (offer.tool, functions)
    });
    Ok(offered.collect())
}

/// Of two functions with one name the first tool's is listed.
fn by_name(mut offered: Vec<Arc<Entry>>) -> Entries {
    offered.sort_by(|a, b| a.tool.cmp(&b.tool));
    let mut entries = Entries::new();
    for entry in offered {
        let name = entry.shown.name.to_string();
        if name == result_tool::NAME || entries.contains_key(&name) {
            tracing::warn!(
                name,
                tool = entry.tool,
                function = entry.function,
                "another tool has that name, so the function is not listed; `as` in its manifest gives it another one"
            );
            continue;
        }
        entries.insert(name, entry);
    }
    entries
}

fn entries_of(view: &ToolView) -> Vec<Arc<Entry>> {
    let functions = view.component.shape().functions.iter();
    functions
        .filter_map(|shape| entry(view, &shape.name))
        .map(Arc::new)
        .collect()
}

fn entry(view: &ToolView, function: &str) -> Option<Entry> {
    let tool = &view.policy.name;
    let policy = view.policy.function(function);
    let name = policy.rename.clone().unwrap_or_else(|| name(tool, function));
    if name.len() > LONGEST_NAME {
        tracing::warn!(
            name,
            tool,
            function,
            "model providers allow {LONGEST_NAME} characters, so the function is not listed; `as` in its manifest gives it another name"
        );
        return None;
    }
    let schemas = view.component.schemas(function, &policy.params)?;
    let output = schemas.output.and_then(object).map(Arc::new);
    let description = policy.description.as_ref().or(view.policy.description.as_ref());
    let mut shown = Tool::new_with_raw(
        name,
        description.cloned().map(Into::into),
        Arc::new(object(schemas.input)?),
    )
    .with_title(format!("{tool}: {function}"))
    .with_annotations(annotations(view, policy));
    if let Some(output) = &output {
        shown = shown.with_raw_output_schema(Arc::clone(output));
    }
    Some(Entry {
        tool: tool.clone(),
        function: function.to_owned(),
        version: view.record.number,
        policy: Arc::clone(&view.policy),
        wrapped: schemas.wrapped,
        shown,
        output,
    })
}

/// `tool_function`, or `tool_iface_function`; neither part has a `_` of its own.
fn name(tool: &str, function: &str) -> String {
    format!("{tool}_{}", function.replace('.', "_"))
}

fn object(value: Value) -> Option<JsonObject> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Hints that hold: a component reaches only what its manifest grants it, and how often it may be run is the manifest's word.
fn annotations(view: &ToolView, policy: &FunctionPolicy) -> ToolAnnotations {
    let imports = &view.component.shape().imports;
    let calls_out = !view.policy.services.is_empty() || !view.policy.tools.is_empty() || !view.record.links.is_empty();
    let keeps = imports.iter().any(|import| import.starts_with(STATE));
    let changes_nothing = !calls_out && !keeps;
    let read_only = changes_nothing || policy.idempotency == Idempotency::Readonly;
    ToolAnnotations::new()
        .read_only(read_only)
        .destructive(!read_only)
        .idempotent(read_only || policy.idempotency.may_start_over())
        .open_world(calls_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_taken_apart_again() {
        assert_eq!(name("web-search", "query"), "web-search_query");
        assert_eq!(name("db", "admin.drop-all"), "db_admin_drop-all");
    }
}
