//! The fields of an `AddPermission`: what of them breaks AWS's model, and the statement that they make. Pure.
use pelton_core::Arn;
use serde_json::{Map, Value};

use super::super::error::ApiError;
use super::super::resource::is_arn;
use super::policy::{Condition, Effect, Grantee, SourceAccount, SourceArn, Star, Statement};

/// The patterns of AWS's model; what reads them is the same by hand.
const SID_PATTERN: &str = "([a-zA-Z0-9-_]+)";
const SID_TO_REMOVE_PATTERN: &str = "([a-zA-Z0-9-_.]+)";
const ACTION_PATTERN: &str = "(lambda:[*]|lambda:[a-zA-Z]+|[*])";
const PRINCIPAL_PATTERN: &str = r"[^\s]+";
const ACCOUNT_PATTERN: &str = r"\d{12}";
const ARN_PATTERN: &str =
    r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";
const LONGEST_SID: usize = 100;
const LONGEST_PRINCIPAL: usize = 2_048;
/// No more of a value is shown.
const MOST_SHOWN: usize = 256;
/// Fields of AWS's that make a condition which nothing here could ever meet.
const UNSUPPORTED: [(&str, &str); 4] = [
    ("EventSourceToken", "nothing that calls Pelton has a token"),
    ("FunctionUrlAuthType", "local functions have no URL"),
    ("InvokedViaFunctionUrl", "local functions have no URL"),
    ("PrincipalOrgID", "Pelton knows of no organization"),
];

/// What is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    pub sid: String,
    action: String,
    principal: String,
    source_arn: Option<String>,
    source_account: Option<String>,
    pub revision_id: Option<String>,
}

impl Fields {
    /// Reads a body. What breaks a constraint of AWS's model is added to `constraints`, and then there are no fields.
    pub fn read(fields: &Map<String, Value>, constraints: &mut Vec<String>) -> Result<Option<Self>, ApiError> {
        for name in fields.keys() {
            if let Some((_, reason)) = UNSUPPORTED.iter().find(|(unsupported, _)| unsupported == name) {
                let message = format!("{name} is not supported, because {reason}: leave it out.");
                return Err(ApiError::invalid_parameter(message));
            }
            let known = ["Action", "Principal", "RevisionId", "SourceAccount", "SourceArn", "StatementId"];
            if !known.contains(&name.as_str()) {
                let name: String = name.chars().take(100).collect();
                return Err(ApiError::invalid_parameter(format!("{name} is no field of AddPermission.")));
            }
        }
        let texts = |name: &str| match fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(ApiError::serialization(format!("{name}: expected a text."))),
        };
        let (sid, action, principal) = (texts("StatementId")?, texts("Action")?, texts("Principal")?);
        let (source_arn, source_account) = (texts("SourceArn")?, texts("SourceAccount")?);
        let revision_id = texts("RevisionId")?.filter(|id| !id.is_empty());
        for (value, member) in [(&sid, "statementId"), (&action, "action"), (&principal, "principal")] {
            if value.is_none() {
                let constraint = "Member must not be null";
                constraints.push(format!("Value null at '{member}' failed to satisfy constraint: {constraint}"));
            }
        }
        let mut check = |value: &Option<String>, member: &str, constraint: fn(&str) -> Option<String>| {
            let Some(value) = value else { return };
            if let Some(constraint) = constraint(value) {
                constraints.push(broken(value, member, &constraint));
            }
        };
        check(&sid, "statementId", |sid| of_a_sid(sid, b"-_", SID_PATTERN));
        check(&action, "action", |action| pattern(is_action(action), ACTION_PATTERN));
        check(&principal, "principal", |principal| match principal.chars().count() {
            length if length > LONGEST_PRINCIPAL => Some(too_long(LONGEST_PRINCIPAL)),
            length => pattern(length > 0 && !principal.contains(char::is_whitespace), PRINCIPAL_PATTERN),
        });
        check(&source_arn, "sourceArn", |arn| pattern(is_arn(arn), ARN_PATTERN));
        check(&source_account, "sourceAccount", |account| pattern(is_account(account), ACCOUNT_PATTERN));
        let (Some(sid), Some(action), Some(principal)) = (sid, action, principal) else { return Ok(None) };
        Ok(Some(Self { sid, action, principal, source_arn, source_account, revision_id }))
    }

    /// The statement about a function.
    pub fn statement(self, function: Arn) -> Result<Statement, ApiError> {
        if self.action.eq_ignore_ascii_case("lambda:InvokeFunctionUrl") {
            let message = "The action lambda:InvokeFunctionUrl is not supported, because local functions have no URL: \
                           use lambda:InvokeFunction.";
            return Err(ApiError::invalid_parameter(message));
        }
        let principal = grantee(&self.principal, function.partition()).ok_or_else(|| {
            let message = "The provided principal was invalid. Please check the principal and try again.";
            ApiError::invalid_parameter(message)
        })?;
        let condition = Condition {
            string_equals: self.source_account.map(|account| SourceAccount { account }),
            arn_like: self.source_arn.map(|pattern| SourceArn { pattern }),
        };
        let is_conditional = condition.string_equals.is_some() || condition.arn_like.is_some();
        Ok(Statement {
            sid: self.sid,
            effect: Effect::Allow,
            principal,
            action: self.action,
            resource: function,
            condition: is_conditional.then_some(condition),
        })
    }
}

/// What a `StatementId` in the path of a `RemovePermission` breaks of AWS's model.
pub fn check_sid(sid: &str, constraints: &mut Vec<String>) {
    if let Some(constraint) = of_a_sid(sid, b"-_.", SID_TO_REMOVE_PATTERN) {
        constraints.push(broken(sid, "statementId", &constraint));
    }
}

/// A principal as AWS takes it: an account, a user or role, a service, or anybody. What can never call is nobody.
fn grantee(text: &str, partition: &str) -> Option<Grantee> {
    if text == "*" {
        return Some(Grantee::Anybody(Star::Star));
    }
    if is_account(text) {
        return Some(Grantee::Iam(Arn::new(partition, "iam", "", text, "root").ok()?));
    }
    if is_service(text) {
        return Some(Grantee::Service(text.to_owned()));
    }
    let arn: Arn = text.parse().ok()?;
    let resource = arn.resource();
    let is_named = |kind: &str| resource.strip_prefix(kind).is_some_and(|name| !name.is_empty());
    let is_someone = resource == "root" || is_named("user/") || is_named("role/");
    let is_one = !text.contains(['*', '?']);
    (arn.service() == "iam" && arn.region().is_empty() && !arn.account().is_empty() && is_someone && is_one)
        .then_some(Grantee::Iam(arn))
}

/// `sns.amazonaws.com`, `events.amazonaws.com.cn`.
fn is_service(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let name = text.strip_suffix(".cn").unwrap_or(text).strip_suffix(".amazonaws.com");
    name.is_some_and(|name| name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_good)))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_action(text: &str) -> bool {
    let name = text.strip_prefix("lambda:");
    text == "*"
        || name.is_some_and(|name| {
            name == "*" || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()))
        })
}

fn of_a_sid(sid: &str, more: &[u8], of_aws: &str) -> Option<String> {
    match sid.chars().count() {
        0 => Some("Member must have length greater than or equal to 1".to_owned()),
        length if length > LONGEST_SID => Some(too_long(LONGEST_SID)),
        _ => pattern(sid.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte)), of_aws),
    }
}

fn pattern(is_met: bool, pattern: &str) -> Option<String> {
    (!is_met).then(|| format!("Member must satisfy regular expression pattern: {pattern}"))
}

fn too_long(longest: usize) -> String {
    format!("Member must have length less than or equal to {longest}")
}

fn broken(value: &str, member: &str, constraint: &str) -> String {
    let shown: String = value.chars().take(MOST_SHOWN).collect();
    format!("Value '{shown}' at '{member}' failed to satisfy constraint: {constraint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn principals_are_whoever_can_call() {
        let iam = |arn: &str| Some(Grantee::Iam(arn.parse().unwrap()));
        let service = |name: &str| Some(Grantee::Service(name.to_owned()));
        for (text, expected) in [
            ("*", Some(Grantee::Anybody(Star::Star))),
            ("111111111111", iam("arn:aws:iam::111111111111:root")),
            ("arn:aws:iam::111111111111:root", iam("arn:aws:iam::111111111111:root")),
            ("arn:aws:iam::111111111111:user/path/me", iam("arn:aws:iam::111111111111:user/path/me")),
            ("arn:aws:iam::111111111111:role/r", iam("arn:aws:iam::111111111111:role/r")),
            ("sns.amazonaws.com", service("sns.amazonaws.com")),
            ("s3.us-east-1.amazonaws.com", service("s3.us-east-1.amazonaws.com")),
            ("events.amazonaws.com.cn", service("events.amazonaws.com.cn")),
            ("arn:aws:iam::111111111111:group/g", None),
            ("arn:aws:iam::111111111111:user/", None),
            ("arn:aws:iam:::root", None),
            ("arn:aws:iam::111111111111:user/*", None),
            ("arn:aws:sts::111111111111:assumed-role/r/s", None),
            (".amazonaws.com", None),
            ("amazonaws.com", None),
            ("sns.amazonaws.com.evil.example", None),
            ("11111111111", None),
            ("me", None),
        ] {
            assert_eq!(grantee(text, "aws"), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_fields_are_read_or_refused(
            sid in "\\PC{0,6}|[a-zA-Z0-9_-]{1,101}", action in "\\PC{0,9}|lambda:[a-zA-Z*]{0,3}",
            principal in "\\PC{0,9}|[0-9]{11,12}|[a-z]{0,2}\\.amazonaws\\.com", account in "[0-9]{11,12}",
        ) {
            let body = serde_json::json!({
                "StatementId": sid, "Action": action, "Principal": principal, "SourceAccount": account,
            });
            let mut constraints = Vec::new();
            let fields = Fields::read(body.as_object().unwrap(), &mut constraints).unwrap().unwrap();
            let is_good = !sid.is_empty()
                && sid.len() <= 100
                && sid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            prop_assert_eq!(is_good, !constraints.iter().any(|text| text.contains("'statementId'")));
            prop_assert_eq!(account.len() == 12, !constraints.iter().any(|text| text.contains("'sourceAccount'")));
            let _ = fields.statement("arn:aws:lambda:us-east-1:111111111111:function:f".parse().unwrap());
        }
    }
}
