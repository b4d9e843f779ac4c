//! Manifests with their components, checked as one and deployed by the rules of a host: what the command line and the HTTP face share.

mod checked;
mod words;

pub use checked::{Checked, Surroundings, Upload, check};

use crate::dto::deployment::{Deployment, Growth};
use crate::dto::finding::Finding;
use crate::dto::policy_row::PolicyRow;
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::component::ComponentShape;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::ids::Digest;
use fusebox_engine::host::Host;
use fusebox_engine::ports::sandbox::{Component, LoadError};
use fusebox_engine::requests::{Caller, Deploy, digest_of};
use fusebox_manifest::diagnostic::Diagnostic;
use fusebox_manifest::{BAD_COMPONENT, HostFile, Lowered, Manifest, NAMED_TWICE, Presets, grown};
use std::collections::BTreeMap;
use std::sync::Arc;

/// By what a host admits manifests.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The operator's settings.
    pub settings: HostFile,
    /// The presets: those built in, and the operator's.
    pub presets: Presets,
}

/// Why nothing was deployed, or not all of it.
#[derive(Clone, Debug)]
pub enum Refused {
    /// The host refused or failed.
    Failure(Box<Failure>),
    /// Manifests or components are wrong: everything that was found, warnings too. Nothing was changed.
    Findings(Vec<Diagnostic>),
    /// Tools would be able to do more than before, and nobody has accepted that. Nothing was changed.
    Grew(Vec<Growth>),
}

impl From<Box<Failure>> for Refused {
    fn from(failure: Box<Failure>) -> Self {
        Self::Failure(failure)
    }
}

/// Checks all uploads by the rules, and deploys them: each tool after those that it calls, since it is pinned to their versions.
/// `accept` has the digests of what may do more than the version before it.
///
/// # Errors
/// Everything that is wrong, what grew, or what the host refused; what was deployed before that stays.
pub async fn deploy(
    host: &Host,
    caller: &Caller,
    rules: &Rules,
    uploads: Vec<Upload>,
    accept: &[String],
) -> Result<Vec<Deployment>, Refused> {
    let mut ready = check(uploads, rules, &Deployed { host, caller }).await?;
    tell_names_apart(&mut ready);
    let findings: Vec<_> = ready.iter().flat_map(|checked| checked.findings.clone()).collect();
    if findings.iter().any(Diagnostic::is_error) {
        return Err(Refused::Findings(findings));
    }
    let mut grew = Vec::new();
    for checked in &ready {
        grew.extend(
            growth(checked, host, caller)
                .await?
                .filter(|growth| !accept.contains(&growth.digest)),
        );
    }
    if !grew.is_empty() {
        return Err(Refused::Grew(grew));
    }
    let mut deployed = Vec::with_capacity(ready.len());
    for checked in callees_first(ready) {
        deployed.extend(register(checked, host, caller).await?);
    }
    Ok(deployed)
}

/// The effective policy of a deployed function, and who set each value, by the rules of today.
///
/// # Errors
/// That there is no such tool or function, or that its manifest is not admitted any more.
pub async fn explain(
    host: &Host,
    caller: &Caller,
    rules: &Rules,
    tool: &str,
    function: &str,
) -> Result<Vec<PolicyRow>, Refused> {
    let found = host.tool(caller, tool).await?;
    if !found
        .component
        .shape()
        .functions
        .iter()
        .any(|known| known.name == function)
    {
        let message = format!("`{tool}` has no function `{function}`");
        return Err(Refused::Failure(Box::new(Failure::new(
            Code::NotFound,
            Class::Caller,
            message,
        ))));
    }
    let record = &found.record;
    let (lowered, findings) = Manifest::read(&record.source, &record.manifest, &rules.presets, &rules.settings);
    let lowered = lowered.ok_or(Refused::Findings(findings))?;
    Ok(lowered.explain(function).iter().map(PolicyRow::from).collect())
}

/// The tools that a host has.
struct Deployed<'a> {
    host: &'a Host,
    caller: &'a Caller,
}

#[async_trait]
impl Surroundings for Deployed<'_> {
    type Error = Box<Failure>;

    async fn inspect(&self, wasm: Bytes) -> Result<Arc<dyn Component>, LoadError> {
        Ok(self.host.inspect(wasm).await?.1)
    }

    async fn offered(&self, tool: &str) -> Result<Option<ComponentShape>, Box<Failure>> {
        match self.host.tool(self.caller, tool).await {
            Ok(view) => Ok(Some(view.component.shape().clone())),
            Err(failure) if failure.code == Code::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn component(&self, digest: Digest) -> Result<Bytes, Diagnostic> {
        self.host.component(self.caller, digest).await.map_err(not_deployed)
    }
}

/// What a manifest is told whose component is named by its digest, and is not there.
#[must_use]
pub fn not_deployed(failure: Box<Failure>) -> Diagnostic {
    Diagnostic::error(BAD_COMPONENT, failure.message)
        .help("write the path of a file, or a digest that `fusebox tools` lists")
}

/// A name is one manifest's: the second one is wrong.
fn tell_names_apart(ready: &mut [Checked]) {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for checked in ready {
        if let Some(lowered) = &checked.lowered
            && let Some(first) = names.insert(lowered.policy.name.clone(), checked.source.clone())
        {
            checked.findings.push(twice(lowered, &first));
        }
    }
}

fn twice(lowered: &Lowered, first: &str) -> Diagnostic {
    let name = &lowered.policy.name;
    Diagnostic::error(NAMED_TWICE, format!("the tool `{name}` is deployed by {first} already"))
        .at(lowered.provenance.span("name").cloned())
        .help("give one of them another name")
}

/// What a tool would be able to do that the version before it could not.
async fn growth(checked: &Checked, host: &Host, caller: &Caller) -> Result<Option<Growth>, Box<Failure>> {
    let Some((lowered, wasm)) = checked.lowered.as_ref().zip(checked.wasm.as_ref()) else {
        return Ok(None);
    };
    let before = match host.tool(caller, &lowered.policy.name).await {
        Ok(before) => before,
        Err(failure) if failure.code == Code::NotFound => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let more = grown(&before.policy, &lowered.policy);
    // What is accepted is this component under this manifest, and nothing else.
    let digest = digest_of(format!("{}\n{}", digest_of(wasm), checked.text).as_bytes());
    Ok(Some(Growth {
        tool: lowered.policy.name.clone(),
        before: before.record.number,
        more,
        digest: digest.to_string(),
    })
    .filter(|growth| !growth.more.is_empty()))
}

/// A tool after those that it calls.
fn callees_first(mut waiting: Vec<Checked>) -> Vec<Checked> {
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: Vec<String> = waiting.iter().filter_map(Checked::name).map(str::to_owned).collect();
        let calls_none = |checked: &Checked| {
            let own = checked.name();
            let mut called = checked.lowered.iter().flat_map(|lowered| &lowered.policy.tools);
            !called.any(|grant| Some(grant.tool.as_str()) != own && names.contains(&grant.tool))
        };
        // Tools that call each other in a circle keep their order.
        let next = waiting.iter().position(calls_none).unwrap_or_default();
        ordered.push(waiting.remove(next));
    }
    ordered
}

async fn register(checked: Checked, host: &Host, caller: &Caller) -> Result<Option<Deployment>, Box<Failure>> {
    let Some((lowered, wasm)) = checked.lowered.zip(checked.wasm) else {
        return Ok(None);
    };
    let deploy = Deploy {
        wasm,
        manifest: checked.text,
        source: checked.source,
        policy: lowered.policy,
        links: checked.links,
    };
    let deployed = host.deploy(caller, deploy).await?;
    let (tool, facts) = (deployed.tool, deployed.facts);
    Ok(Some(Deployment {
        tool: tool.name,
        number: tool.number,
        version: tool.version,
        component: tool.component,
        new: deployed.new,
        enabled: tool.enabled,
        functions: deployed.shape.functions.into_iter().map(|shape| shape.name).collect(),
        left_out: deployed.shape.left_out,
        size: facts.size,
        compiled_size: facts.compiled_size,
        unpooled: facts.unpooled,
        widens: lowered.widens,
        findings: checked.findings.iter().map(Finding::from).collect(),
    }))
}
