//! A deployed tool with its functions: types, JSON Schemas, words, and what its policy comes down to.

use fusebox_core::component::{ComponentShape, FunctionShape};
use fusebox_core::policy::{Origin, ToolPolicy};
use fusebox_engine::host::ToolView;
use fusebox_engine::ports::sandbox::Component;
use fusebox_engine::records::ToolRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A deployed tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ToolDetail {
    /// The version in force.
    pub tool: ToolRecord,
    /// What a model reads about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Bytes of its component.
    pub size: u64,
    /// Bytes of the compiled code.
    pub compiled_size: u64,
    /// What it reaches.
    pub services: Vec<ServiceDetail>,
    /// What it offers.
    pub functions: Vec<FunctionDetail>,
}

/// A service that a tool reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceDetail {
    /// Its name.
    pub name: String,
    /// Where it is, as `https://host:port`.
    pub hosts: Vec<String>,
}

/// A function with what its policy comes down to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FunctionDetail {
    /// Its types.
    #[serde(flatten)]
    pub types: FunctionTypes,
    /// What a model reads about it.
    pub description: Option<String>,
    /// What a model reads about its parameters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub words: BTreeMap<String, String>,
    /// Whether it may start over, by name.
    pub idempotency: String,
    /// What is kept of its runs, by name.
    pub durability: String,
    /// How it is retried.
    pub retry: RetryDetail,
}

/// How a function is retried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RetryDetail {
    /// The preset.
    pub preset: String,
    /// Attempts at most.
    pub attempts: u32,
}

/// A function with its types.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FunctionTypes {
    /// The name that calls use.
    pub name: String,
    /// The exported interface; `None` for a function of the world itself.
    pub interface: Option<String>,
    /// `query(text: string, limit: option<u32>) -> result<list<hit>, error>`.
    pub signature: String,
    /// Parameters: name, and type as WIT text.
    pub params: Vec<(String, String)>,
    /// Type of the result as WIT text.
    pub result: Option<String>,
    /// Cases of the error type, when it has cases.
    pub errors: Option<Vec<String>>,
    /// JSON Schema of the arguments.
    pub input_schema: Option<Value>,
    /// JSON Schema of the result.
    pub output_schema: Option<Value>,
}

impl ToolDetail {
    /// What is told of a tool.
    #[must_use]
    pub fn of(view: &ToolView) -> Self {
        let policy = &view.policy;
        let facts = view.component.facts();
        let functions = &view.component.shape().functions;
        Self {
            tool: view.record.clone(),
            description: policy.description.clone(),
            size: facts.size,
            compiled_size: facts.compiled_size,
            services: policy
                .services
                .iter()
                .map(|service| ServiceDetail {
                    name: service.name.clone(),
                    hosts: service.hosts.iter().map(url).collect(),
                })
                .collect(),
            functions: functions
                .iter()
                .map(|function| FunctionDetail::of(view.component.as_ref(), function, policy))
                .collect(),
        }
    }

    /// What it offers, as checks of manifests that call it need it.
    #[must_use]
    pub fn shape(&self) -> ComponentShape {
        let functions = self.functions.iter().map(|function| function.types.shape());
        ComponentShape {
            functions: functions.collect(),
            ..ComponentShape::default()
        }
    }
}

impl FunctionDetail {
    fn of(component: &dyn Component, function: &FunctionShape, policy: &ToolPolicy) -> Self {
        let policy = policy.function(&function.name);
        Self {
            types: FunctionTypes::of(component, function, &policy.params),
            description: policy.description.clone(),
            words: policy.params.clone(),
            idempotency: policy.idempotency.name().to_owned(),
            durability: policy.durability.name().to_owned(),
            retry: RetryDetail {
                preset: policy.retry.preset.clone(),
                attempts: policy.retry.attempts,
            },
        }
    }
}

impl FunctionTypes {
    /// The types of a component's function; `words` are what a model reads about its parameters.
    #[must_use]
    pub fn of(component: &dyn Component, function: &FunctionShape, words: &BTreeMap<String, String>) -> Self {
        let schemas = component.schemas(&function.name, words);
        let (input_schema, output_schema) = schemas.map_or((None, None), |found| (Some(found.input), found.output));
        Self {
            name: function.name.clone(),
            interface: function.interface.clone(),
            signature: signature(function),
            params: function.params.clone(),
            result: function.result.clone(),
            errors: function.error_cases.clone(),
            input_schema,
            output_schema,
        }
    }

    fn shape(&self) -> FunctionShape {
        FunctionShape {
            name: self.name.clone(),
            interface: self.interface.clone(),
            params: self.params.clone(),
            result: self.result.clone(),
            error_cases: self.errors.clone(),
        }
    }
}

/// `query(text: string, limit: option<u32>) -> result<list<hit>, error>`.
#[must_use]
pub fn signature(function: &FunctionShape) -> String {
    let params: Vec<_> = function
        .params
        .iter()
        .map(|(name, kind)| format!("{name}: {kind}"))
        .collect();
    let result = function.result.as_ref();
    let result = result.map_or_else(String::new, |result| format!(" -> {result}"));
    format!("{}({}){result}", function.name, params.join(", "))
}

fn url(origin: &Origin) -> String {
    let scheme = if origin.tls { "https" } else { "http" };
    format!("{scheme}://{}:{}", origin.host, origin.port)
}
