//! The operations on one function, by method and path. Pure.
use axum::http::Method;

/// An operation on a function, besides those that have a [`Route`](super::route::Route) of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Get,
    GetConfiguration,
    GetConcurrency,
    GetCodeSigningConfig,
    ListVersions,
    ListAliases,
    /// By its name.
    GetAlias(String),
    GetPolicy,
    AddPermission,
    /// By its `StatementId`.
    RemovePermission(String),
    /// One that local functions don't have, by its name.
    Other(&'static str),
    /// A path below a function that means nothing.
    Unknown,
}

impl Operation {
    /// The IAM action that allows it, without its `lambda:`. `None`: it isn't known.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::Get => Some("GetFunction"),
            Self::GetConfiguration => Some("GetFunctionConfiguration"),
            Self::GetConcurrency => Some("GetFunctionConcurrency"),
            Self::GetCodeSigningConfig => Some("GetFunctionCodeSigningConfig"),
            Self::ListVersions => Some("ListVersionsByFunction"),
            Self::ListAliases => Some("ListAliases"),
            Self::GetAlias(_) => Some("GetAlias"),
            Self::GetPolicy => Some("GetPolicy"),
            Self::AddPermission => Some("AddPermission"),
            Self::RemovePermission(_) => Some("RemovePermission"),
            Self::Other("InvokeWithResponseStream") => Some("InvokeFunction"),
            Self::Other(name) => Some(name),
            Self::Unknown => None,
        }
    }
}

/// `date` is the version of the API, `rest` what follows the function's name.
pub fn operation(method: &Method, date: &str, rest: &[&str]) -> Operation {
    use Operation::Other;
    match (date, rest, method.as_str()) {
        ("2015-03-31", [], "GET") => Operation::Get,
        ("2015-03-31", [], "DELETE") => Other("DeleteFunction"),
        ("2015-03-31", ["configuration"], "GET") => Operation::GetConfiguration,
        ("2015-03-31", ["configuration"], "PUT") => Other("UpdateFunctionConfiguration"),
        ("2015-03-31", ["code"], "PUT") => Other("UpdateFunctionCode"),
        ("2015-03-31", ["versions"], "GET") => Operation::ListVersions,
        ("2015-03-31", ["versions"], "POST") => Other("PublishVersion"),
        ("2015-03-31", ["aliases"], "GET") => Operation::ListAliases,
        ("2015-03-31", ["aliases"], "POST") => Other("CreateAlias"),
        ("2015-03-31", ["aliases", alias], "GET") => Operation::GetAlias((*alias).to_owned()),
        ("2015-03-31", ["aliases", _], "PUT") => Other("UpdateAlias"),
        ("2015-03-31", ["aliases", _], "DELETE") => Other("DeleteAlias"),
        ("2015-03-31", ["policy"], "GET") => Operation::GetPolicy,
        ("2015-03-31", ["policy"], "POST") => Operation::AddPermission,
        ("2015-03-31", ["policy", sid], "DELETE") => Operation::RemovePermission((*sid).to_owned()),
        ("2017-10-31", ["concurrency"], "PUT") => Other("PutFunctionConcurrency"),
        ("2017-10-31", ["concurrency"], "DELETE") => Other("DeleteFunctionConcurrency"),
        ("2019-09-30", ["concurrency"], "GET") => Operation::GetConcurrency,
        ("2019-09-30", ["provisioned-concurrency"], "PUT") => Other("PutProvisionedConcurrencyConfig"),
        ("2019-09-30", ["provisioned-concurrency"], "GET") => Other("GetProvisionedConcurrencyConfig"),
        ("2019-09-30", ["provisioned-concurrency"], "DELETE") => Other("DeleteProvisionedConcurrencyConfig"),
        ("2020-06-30", ["code-signing-config"], "GET") => Operation::GetCodeSigningConfig,
        ("2020-06-30", ["code-signing-config"], "PUT") => Other("PutFunctionCodeSigningConfig"),
        ("2020-06-30", ["code-signing-config"], "DELETE") => Other("DeleteFunctionCodeSigningConfig"),
        ("2021-07-20", ["runtime-management-config"], "GET") => Other("GetRuntimeManagementConfig"),
        ("2021-07-20", ["runtime-management-config"], "PUT") => Other("PutRuntimeManagementConfig"),
        ("2021-10-31", ["url"], "POST") => Other("CreateFunctionUrlConfig"),
        ("2021-10-31", ["url"], "GET") => Other("GetFunctionUrlConfig"),
        ("2021-10-31", ["url"], "PUT") => Other("UpdateFunctionUrlConfig"),
        ("2021-10-31", ["url"], "DELETE") => Other("DeleteFunctionUrlConfig"),
        ("2021-10-31", ["urls"], "GET") => Other("ListFunctionUrlConfigs"),
        ("2021-11-15", ["response-streaming-invocations"], "POST") => Other("InvokeWithResponseStream"),
        ("2024-08-31", ["recursion-config"], "GET") => Other("GetFunctionRecursionConfig"),
        ("2024-08-31", ["recursion-config"], "PUT") => Other("PutFunctionRecursionConfig"),
        ("2025-11-30", ["function-scaling-config"], "GET") => Other("GetFunctionScalingConfig"),
        ("2025-11-30", ["function-scaling-config"], "PUT") => Other("PutFunctionScalingConfig"),
        ("2025-12-01", ["durable-executions"], "GET") => Other("ListDurableExecutionsByFunction"),
        _ => Operation::Unknown,
    }
}
