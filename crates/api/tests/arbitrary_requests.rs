//! Whatever comes, it is read or refused; nothing panics. The fuzz target `lambda_request` looks further.
use pelton_api::read_request;
use proptest::prelude::*;

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,30}",
        "/2015-03-31/event-source-mappings(/[0-9a-f-]{0,36}|/%[0-9a-f]{0,2}|/\\.\\.)?/?",
        "/(2015-03-31|2014-11-13|2019-09-25)/functions/[a-z:$%.0-9]{0,12}/(invocations|invoke-async|event-invoke-config(/list)?)/?",
        "/20(15-03-31|19-09-30|17-10-31)/functions(/[a-z:$%.0-9]{0,12}(/(policy|aliases|versions|code|concurrency)(/[a-z.%0-9]{0,6})?)?)?/?",
        "/2017-03-31/tags/arn(:|%3A)aws(:|%3a)lambda:[a-z0-9-]{0,12}:[0-9]{12}:(event-source-mapping|function):[0-9a-f-]{0,36}",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        Just("\"EventSourceArn\": \"arn:aws:sqs:us-east-1:000000000000:q\"".to_owned()),
        Just("\"FunctionName\": \"f\"".to_owned()),
        "\"(BatchSize|Enabled|Tags|Topics|StartingPosition)\": (-?[0-9]{0,12}|true|null|\\{\\}|\\[\\]|\"[a-zA-Z]{0,6}\")",
        "\"Maximum(RetryAttempts|EventAgeInSeconds)\": (-?[0-9]{0,20}|1\\.5|\"[0-9]\")",
        "\"(StatementId|Action|Principal|SourceArn|SourceAccount|RevisionId|PrincipalOrgID)\": (\"(lambda:|arn:aws:iam::)?[a-z0-9:*.]{0,12}\"|null|1)",
        "\"DestinationConfig\": \\{\"On(Success|Failure)\": \\{(\"Destination\": (\"[a-z:]{0,9}\"|null|3))?\\}\\}",
        "\"FilterCriteria\": \\{\"Filters\": (null|\\[(null|\\{\"Pattern\": \"[a-z{}:]{0,9}\"\\})?\\])\\}",
        "\\PC{0,12}",
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(field, 0..6).prop_map(|fields| format!("{{{}}}", fields.join(", ")).into_bytes()),
    ]
}

proptest! {
    #[test]
    fn any_request_is_read_or_refused(
        method in "GET|PUT|POST|DELETE|\\PC{0,8}",
        path in path(),
        query in "\\PC{0,20}|(MaxItems|Marker|FunctionName|FunctionVersion|tagKeys|EventSourceArn|Qualifier)=[a-z0-9:%+&=-]{0,20}",
        body in body(),
    ) {
        read_request(&method, &path, &query, &body);
    }
}
