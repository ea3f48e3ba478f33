//! Whether a policy lets a caller do something. Pure.
use pelton_config::Principal;
use pelton_core::Arn;
use wildmatch::WildMatch;

use super::policy::{Condition, Grantee, Policy};

/// Whether `caller` may do `action`, such as `lambda:InvokeFunction`, with `function`, by the policy of what is called.
///
/// - `function` is the ARN as it was called: with a qualifier only if it was called with one. A statement about the function
///   doesn't count for its aliases, nor for `$LATEST` by name, and the other way round.
/// - The root of an account stands for every caller of that account; any other ARN, and a service, for itself alone.
/// - `source_arn` and `source_account` say on whose behalf a service calls. What anybody else says of it doesn't count.
pub fn allows(
    policy: &Policy,
    caller: &Principal,
    action: &str,
    function: &Arn,
    source_arn: Option<&str>,
    source_account: Option<&str>,
) -> bool {
    let (source_arn, source_account) = match caller {
        Principal::Service(_) => (source_arn, source_account),
        Principal::Iam(_) => (None, None),
    };
    policy.statements.iter().any(|statement| {
        is_granted(&statement.principal, caller)
            && is_action(&statement.action, action)
            && statement.resource == *function
            && statement.condition.as_ref().is_none_or(|condition| holds(condition, source_arn, source_account))
    })
}

fn is_granted(grantee: &Grantee, caller: &Principal) -> bool {
    match (grantee, caller) {
        (Grantee::Anybody(_), _) => true,
        (Grantee::Service(service), Principal::Service(caller)) => service == caller,
        (Grantee::Iam(root), Principal::Iam(caller)) if root.resource() == "root" => {
            root.account() == caller.account() && root.partition() == caller.partition()
        }
        (Grantee::Iam(arn), Principal::Iam(caller)) => arn == caller,
        (Grantee::Service(_), Principal::Iam(_)) | (Grantee::Iam(_), Principal::Service(_)) => false,
    }
}

/// Actions have no upper and lower case.
fn is_action(granted: &str, action: &str) -> bool {
    granted == "*" || granted.eq_ignore_ascii_case("lambda:*") || granted.eq_ignore_ascii_case(action)
}

fn holds(condition: &Condition, source_arn: Option<&str>, source_account: Option<&str>) -> bool {
    condition.string_equals.as_ref().is_none_or(|wanted| source_account == Some(wanted.account.as_str()))
        && condition.arn_like.as_ref().is_none_or(|wanted| source_arn.is_some_and(|arn| is_like(&wanted.pattern, arn)))
}

/// `ArnLike`: each of the six parts is compared by itself, so that a star never stands for a colon, except in the last.
fn is_like(pattern: &str, arn: &str) -> bool {
    let (pattern, arn): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    pattern.len() == 6
        && arn.len() == 6
        && pattern.iter().zip(&arn).all(|(pattern, part)| WildMatch::new(pattern).matches(part))
}

#[cfg(test)]
mod tests {
    use super::super::policy::{Effect, SourceAccount, SourceArn, Star, Statement};
    use super::*;
    use proptest::prelude::*;

    const FUNCTION: &str = "arn:aws:lambda:us-east-1:111111111111:function:f";
    const INVOKE: &str = "lambda:InvokeFunction";
    const TOPIC: &str = "arn:aws:sns:us-east-1:111111111111:topic";

    fn arn(text: &str) -> Arn {
        text.parse().unwrap()
    }

    fn iam(text: &str) -> Principal {
        Principal::Iam(arn(text))
    }

    fn service() -> Principal {
        Principal::Service("sns.amazonaws.com".into())
    }

    fn of(principal: Grantee, action: &str, condition: Option<Condition>) -> Policy {
        let (sid, effect, resource) = ("s".to_owned(), Effect::Allow, arn(FUNCTION));
        let statement = Statement { sid, effect, principal, action: action.into(), resource, condition };
        Policy::of(vec![statement])
    }

    fn condition(source_arn: Option<&str>, account: Option<&str>) -> Option<Condition> {
        Some(Condition {
            string_equals: account.map(|account| SourceAccount { account: account.into() }),
            arn_like: source_arn.map(|pattern| SourceArn { pattern: pattern.into() }),
        })
    }

    #[test]
    fn an_empty_policy_allows_nothing() {
        assert!(!allows(&Policy::default(), &service(), INVOKE, &arn(FUNCTION), None, None));
    }

    #[test]
    fn principals_are_matched_as_iam_does_it() {
        let root = Grantee::Iam(arn("arn:aws:iam::111111111111:root"));
        let user = Grantee::Iam(arn("arn:aws:iam::111111111111:user/me"));
        let sns = Grantee::Service("sns.amazonaws.com".into());
        for (grantee, caller, expected) in [
            (&root, iam("arn:aws:iam::111111111111:root"), true),
            (&root, iam("arn:aws:iam::111111111111:user/me"), true),
            (&root, iam("arn:aws:iam::111111111111:role/path/r"), true),
            (&root, iam("arn:aws:iam::222222222222:user/me"), false),
            (&root, iam("arn:aws-cn:iam::111111111111:user/me"), false),
            (&root, service(), false),
            (&user, iam("arn:aws:iam::111111111111:user/me"), true),
            (&user, iam("arn:aws:iam::111111111111:user/Me"), false),
            (&user, iam("arn:aws:iam::111111111111:user/me2"), false),
            (&user, iam("arn:aws:iam::111111111111:root"), false),
            (&sns, service(), true),
            (&sns, Principal::Service("s3.amazonaws.com".into()), false),
            (&sns, iam("arn:aws:iam::111111111111:root"), false),
            (&Grantee::Anybody(Star::Star), service(), true),
            (&Grantee::Anybody(Star::Star), iam("arn:aws:iam::222222222222:user/me"), true),
        ] {
            let allowed = allows(&of(grantee.clone(), INVOKE, None), &caller, INVOKE, &arn(FUNCTION), None, None);
            assert_eq!(allowed, expected, "{grantee:?} {caller:?}");
        }
    }

    #[test]
    fn action_and_function_are_those_of_the_statement() {
        for (granted, action, expected) in [
            (INVOKE, INVOKE, true),
            ("lambda:invokefunction", INVOKE, true),
            ("lambda:*", INVOKE, true),
            ("*", INVOKE, true),
            ("lambda:GetFunction", INVOKE, false),
            ("lambda:Invoke", INVOKE, false),
            (INVOKE, "lambda:InvokeFunctionUrl", false),
        ] {
            let policy = of(Grantee::Anybody(Star::Star), granted, None);
            assert_eq!(allows(&policy, &service(), action, &arn(FUNCTION), None, None), expected, "{granted} {action}");
        }
        let policy = of(Grantee::Anybody(Star::Star), INVOKE, None);
        for other in [":live", ":$LATEST", "2"] {
            assert!(!allows(&policy, &service(), INVOKE, &arn(&format!("{FUNCTION}{other}")), None, None), "{other}");
        }
    }

    #[test]
    fn sources_must_be_told_and_by_a_service() {
        let me = "arn:aws:iam::111111111111:user/me";
        let (here, there) = (Some("111111111111"), Some("222222222222"));
        for (wanted, source_arn, account, expected) in [
            (condition(Some(TOPIC), None), Some(TOPIC), None, true),
            (condition(Some(TOPIC), None), None, here, false),
            (condition(Some(TOPIC), None), Some(""), None, false),
            (condition(Some(TOPIC), None), Some("arn:aws:sns:us-east-1:111111111111:other"), None, false),
            (condition(Some("arn:aws:sns:*:111111111111:t?pic"), None), Some(TOPIC), None, true),
            (condition(Some("arn:aws:sns:*:222222222222:*"), None), Some(TOPIC), None, false),
            (condition(None, here), None, here, true),
            (condition(None, here), Some(TOPIC), None, false),
            (condition(None, here), None, there, false),
            (condition(Some(TOPIC), here), Some(TOPIC), here, true),
            (condition(Some(TOPIC), here), Some(TOPIC), there, false),
            (condition(Some(TOPIC), here), Some(TOPIC), None, false),
        ] {
            let policy = of(Grantee::Anybody(Star::Star), INVOKE, wanted);
            let ask = |caller: &Principal| allows(&policy, caller, INVOKE, &arn(FUNCTION), source_arn, account);
            assert_eq!(ask(&service()), expected, "{policy:?} {source_arn:?} {account:?}");
            assert!(!ask(&iam(me)), "{policy:?}: only services call on somebody's behalf");
        }
    }

    #[test]
    fn stars_stand_for_what_is_in_one_part() {
        for (pattern, text, expected) in [
            ("arn:aws:s3:::*", "arn:aws:s3:::bucket", true),
            ("arn:*:s3:::bucket", "arn:aws:s3:::bucket", true),
            ("arn:aws:*", "arn:aws:s3:::bucket", false),
            ("arn:aws:execute-api:us-east-1:1:api/*/GET/x", "arn:aws:execute-api:us-east-1:1:api/v1/a/GET/x", true),
            ("arn:aws:logs:us-east-1:1:log-group:*", "arn:aws:logs:us-east-1:1:log-group:a:b", true),
            ("arn:aws:sns:us-*:1:t", "arn:aws:sns:us-east-1:1:t", true),
            ("arn:aws:sns:us-*:1:t", "arn:aws:sns:us-east-1:2:1:t", false),
            ("arn:aws:sns:us-east-1:1:t", "arn:aws:sns:us-east-1:1:T", false),
            ("*", "arn:aws:sns:us-east-1:1:t", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn an_arn_is_like_itself_and_nothing_else_without_stars(
            one in "arn:aws:[a-z]{1,3}:[a-z]{0,2}:[0-9]{0,2}:[a-z:/]{0,6}", other in "[a-z:0-9]{0,20}",
        ) {
            prop_assert!(is_like(&one, &one));
            prop_assert_eq!(is_like(&one, &other), one == other);
        }
    }
}
