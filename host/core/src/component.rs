//! What a component offers and needs, as the manifest's checks and the faces see it.

/// One exported function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionShape {
    /// The name that calls and manifests use: `query`, or `iface.query` where the bare name is ambiguous.
    pub name: String,
    /// The exported interface, such as `acme:search/api@1.0.0`; `None` for a function of the world itself.
    pub interface: Option<String>,
    /// Parameters: name, and type as WIT text.
    pub params: Vec<(String, String)>,
    /// Result type as WIT text; `None` when it returns nothing.
    pub result: Option<String>,
    /// Cases of the error type when the function returns `result<_, variant or enum>`; `None` otherwise.
    pub error_cases: Option<Vec<String>>,
}

/// What a component offers and needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentShape {
    /// Functions that can be called as tools.
    pub functions: Vec<FunctionShape>,
    /// Exported functions that cannot be expressed as JSON, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// Imports that nobody provides, such as `acme:db/store@1.0.0`.
    pub missing_imports: Vec<String>,
    /// Interfaces of other tools that it imports: calls of them cross as JSON.
    pub tools: Vec<ToolImport>,
    /// Interfaces that it imports and gets.
    pub imports: Vec<String>,
}

/// An imported interface of another tool, and who provides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// As the component imports it, such as `acme:search/api@1.0.0`.
    pub interface: String,
    /// The deployed tool.
    pub tool: String,
    /// As that tool exports it, such as `acme:search/api@1.2.0`.
    pub exported: String,
}

/// An interface of another tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolImport {
    /// Such as `acme:search/api@1.0.0`.
    pub interface: String,
    /// The functions that are imported, with their types.
    pub functions: Vec<FunctionShape>,
}
