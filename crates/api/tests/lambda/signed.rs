//! With authentication: whose requests are taken, and what they may ask for.
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use jiff::Timestamp;
use pelton_config::{AccessKey, Authentication, Principal};
use pelton_core::Invoker;
use pelton_store::MemoryStore;
use pelton_testkit::FakeInvoker;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Answer, Api, LIMIT, MAPPINGS, queue};

const INVOKE: &str = "/2015-03-31/functions/work/invocations";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOPIC: &str = "arn:aws:sns:us-east-1:111111111111:news";

/// Everything may be asked for with ALL, some with SOME, nothing with that of a user and that of SNS.
async fn start() -> (Api, Arc<FakeInvoker>) {
    let key = |id: &str, principal, actions: &[&str]| AccessKey {
        id: format!("AKIAEXAMPLE{id}"),
        secret: SECRET.to_owned().into(),
        principal,
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
    };
    let iam = |name: &str| Principal::Iam(format!("arn:aws:iam::222222222222:{name}").parse().unwrap());
    let access_keys = vec![
        key("ALL", iam("root"), &["lambda:*"]),
        key("SOME", iam("user/some"), &["lambda:Get*", "lambda:List*", "lambda:InvokeF*"]),
        key("USER", iam("user/me"), &["lambda:Nothing"]),
        key("SNS", Principal::Service("sns.amazonaws.com".into()), &["lambda:Nothing"]),
    ];
    let documents = Ok(Arc::new(MemoryStore::new()) as Arc<_>);
    let authentication = Some(Authentication { access_keys });
    // Where others can reach it, without `AllowUnauthenticated`.
    let mut api = Api::with("0.0.0.0:0", false, documents, None, authentication).await;
    api.address.set_ip([127, 0, 0, 1].into());
    let invoker = Arc::new(FakeInvoker::scripted([]));
    api.world.add_local("work", &["live"], invoker.clone() as Arc<dyn Invoker>);
    (api, invoker)
}

/// A request as an SDK signs it.
struct Signed<'a> {
    key: &'a str,
    secret: &'a str,
    service: &'a str,
    ago: Duration,
    headers: Vec<(&'a str, &'a str)>,
}

fn by(key: &str) -> Signed<'_> {
    Signed { key, secret: SECRET, service: "lambda", ago: Duration::ZERO, headers: Vec::new() }
}

impl Signed<'_> {
    /// The header lines of a request.
    fn sign(&self, method: &str, path: &str, body: &[u8]) -> String {
        let id = format!("AKIAEXAMPLE{}", self.key);
        let identity = Credentials::new(id, self.secret, None, None, "test").into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(self.service)
            .time(SystemTime::try_from(Timestamp::now()).unwrap() - self.ago)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers = [("host", "pelton")].into_iter().chain(self.headers.iter().copied());
        let uri = format!("http://pelton{path}");
        let request = SignableRequest::new(method, uri, headers, SignableBody::Bytes(body)).unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let signed = instructions.headers().map(|(name, value)| format!("{name}: {value}\r\n"));
        let others = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        signed.chain(others).collect()
    }

    async fn ask(&self, api: &Api, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        api.raw(method, path, &self.sign(method, path, body.as_bytes()), body.as_bytes()).await
    }
}

fn unauthenticated(answer: &Answer) -> (String, String) {
    let (status, kind, body) = answer.error();
    assert_eq!(status, 403);
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    (kind, body["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn whoever_signs_with_a_key_is_answered() {
    let (api, invoker) = start().await;
    let made = by("ALL").ask(&api, "POST", MAPPINGS, &queue(json!({}))).await;
    assert_eq!(made.status, 202, "{made:?}");
    let listed = by("SOME").ask(&api, "GET", &format!("{MAPPINGS}?MaxItems=1"), &Value::Null).await;
    assert_eq!(listed.json()["EventSourceMappings"].as_array().unwrap().len(), 1);
    let arn =
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A111111111111%3Afunction%3Awork%3Alive/invocations";
    let body = json!({ "id": 7 });
    let invoked = by("SOME").ask(&api, "POST", arn, &body).await;
    assert_eq!(invoked.status, 200, "{invoked:?}");
    assert_eq!(invoker.seen().len(), 1);
    // The same request again is taken again while it is fresh, as by AWS.
    let (head, body) = (by("SOME").sign("POST", INVOKE, b"{}"), b"{}");
    assert_eq!(api.raw("POST", INVOKE, &head, body).await.status, 200);
    assert_eq!(api.raw("POST", INVOKE, &head, body).await.status, 200);
    assert_eq!(api.raw("POST", INVOKE, &head, b"[]").await.status, 403, "another body");
    assert_eq!(invoker.seen().len(), 3);
}

#[tokio::test]
async fn what_is_not_signed_well_is_refused_in_awss_words() {
    let (api, invoker) = start().await;
    let get = async |signed: Signed<'_>| unauthenticated(&signed.ask(&api, "GET", MAPPINGS, &Value::Null).await);
    let said = |kind: &str, message: &str| (kind.to_owned(), message.to_owned());
    assert_eq!(
        unauthenticated(&api.ask("GET", MAPPINGS, Value::Null).await),
        said("missingauthenticationtokenexception", "Missing Authentication Token")
    );
    assert_eq!(
        get(by("NOBODYS")).await,
        said("unrecognizedclientexception", "The security token included in the request is invalid.")
    );
    let mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                    Access Key and signing method. Consult the service documentation for details.";
    assert_eq!(get(Signed { secret: "guessed", ..by("ALL") }).await, said("invalidsignatureexception", mismatch));
    let (kind, message) = get(Signed { ago: Duration::from_secs(301), ..by("ALL") }).await;
    assert_eq!(kind, "invalidsignatureexception");
    assert!(message.starts_with("Signature expired: ") && message.ends_with(" - 5 min.)"), "{message}");
    assert_eq!(
        get(Signed { service: "sqs", ..by("ALL") }).await,
        said("invalidsignatureexception", "Credential should be scoped to correct service: 'lambda'.")
    );
    let answer = api.raw("GET", MAPPINGS, "authorization: Bearer \u{e9}\r\n", b"").await;
    assert_eq!(unauthenticated(&answer).0, "incompletesignatureexception");
    // What is passed on and what means nothing is nobody's business either.
    for path in [INVOKE, "/2015-03-31/functions", "/2018-10-31/layers", "/2015-03-31/event-source-mappings/x/y"] {
        assert_eq!(api.ask("POST", path, json!({})).await.status, 403, "{path}");
    }
    assert_eq!(invoker.seen().len(), 0);
    for path in ["/healthz", "/readyz", "/metrics", "/status", "/status/functions"] {
        assert_eq!(api.ask("GET", path, Value::Null).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn actions_say_what_a_key_may_be_used_for() {
    let (api, _) = start().await;
    let some = by("SOME");
    let denied = async |method: &str, path: &str, body: Value| {
        let (status, kind, body) = some.ask(&api, method, path, &body).await.error();
        assert_eq!((status, kind.as_str(), &body["Type"]), (403, "accessdeniedexception", &json!("User")));
        body["Message"].as_str().unwrap().to_owned()
    };
    let message = |action: &str, resource: &str| {
        format!(
            "User: arn:aws:iam::222222222222:user/some is not authorized to perform: {action} on resource: {resource} \
             because no identity-based policy allows the {action} action"
        )
    };
    let work = "arn:aws:lambda:us-east-1:111111111111:function:work";
    assert_eq!(denied("POST", MAPPINGS, queue(json!({}))).await, message("lambda:CreateEventSourceMapping", "*"));
    let id = "11111111-2222-3333-4444-555555555555";
    assert_eq!(
        denied("DELETE", &format!("{MAPPINGS}/{id}"), Value::Null).await,
        message(
            "lambda:DeleteEventSourceMapping",
            &format!("arn:aws:lambda:us-east-1:111111111111:event-source-mapping:{id}")
        )
    );
    assert_eq!(
        denied("PUT", "/2019-09-25/functions/work/event-invoke-config?Qualifier=live", json!({})).await,
        message("lambda:PutFunctionEventInvokeConfig", &format!("{work}:live"))
    );
    assert_eq!(
        denied("POST", "/2014-11-13/functions/work/invoke-async", json!({})).await,
        message("lambda:InvokeAsync", work)
    );
    assert_eq!(
        denied("POST", "/2015-03-31/functions/work/policy", json!({})).await,
        message("lambda:AddPermission", work)
    );
    // What isn't known takes a key for everything.
    assert_eq!(denied("POST", "/2018-10-31/layers/x/versions", json!({})).await, message("lambda:*", "*"));
    assert_eq!(some.ask(&api, "GET", "/2015-03-31/functions/work", &Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_policy_lets_others_invoke() {
    let (api, invoker) = start().await;
    let invoke = async |signed: &Signed<'_>| signed.ask(&api, "POST", INVOKE, &json!({})).await.status;
    let from_topic = Signed { headers: vec![("x-amz-source-arn", TOPIC)], ..by("SNS") };
    let from_elsewhere =
        Signed { headers: vec![("x-amz-source-arn", "arn:aws:sns:us-east-1:111111111111:x")], ..by("SNS") };
    let of_account = Signed { headers: vec![("x-amz-source-account", "111111111111")], ..by("SNS") };
    for signed in [&from_topic, &from_elsewhere, &of_account, &by("USER")] {
        assert_eq!(invoke(signed).await, 403);
    }
    let add = async |fields: Value| {
        let added = by("ALL").ask(&api, "POST", "/2015-03-31/functions/work/policy", &fields).await;
        assert_eq!(added.status, 201, "{added:?}");
    };
    let action = "lambda:InvokeFunction";
    add(json!({ "StatementId": "topic", "Action": action, "Principal": "sns.amazonaws.com", "SourceArn": TOPIC }))
        .await;
    assert_eq!(invoke(&from_topic).await, 200);
    assert_eq!([invoke(&from_elsewhere).await, invoke(&of_account).await, invoke(&by("USER")).await], [403; 3]);
    add(json!({
        "StatementId": "account", "Action": action, "Principal": "sns.amazonaws.com", "SourceAccount": "111111111111",
    }))
    .await;
    assert_eq!([invoke(&of_account).await, invoke(&from_elsewhere).await], [200, 403]);
    add(json!({ "StatementId": "me", "Action": action, "Principal": "arn:aws:iam::222222222222:user/me" })).await;
    assert_eq!(invoke(&by("USER")).await, 200);
    let removed = by("ALL").ask(&api, "DELETE", "/2015-03-31/functions/work/policy/me", &Value::Null).await;
    assert_eq!(removed.status, 204);
    assert_eq!(invoke(&by("USER")).await, 403);
    // A dry run asks for the same right, and so does an event.
    for kind in ["DryRun", "Event"] {
        let signed = Signed { headers: vec![("x-amz-invocation-type", kind)], ..by("USER") };
        assert_eq!(invoke(&signed).await, 403, "{kind}");
    }
    // Whose source isn't signed has made it up.
    let head = by("SNS").sign("POST", INVOKE, b"{}") + &format!("x-amz-source-arn: {TOPIC}\r\n");
    let (kind, message) = unauthenticated(&api.raw("POST", INVOKE, &head, b"{}").await);
    assert_eq!(kind, "invalidsignatureexception");
    assert_eq!(message, "'x-amz-source-arn' must be a 'SignedHeader' in the AWS Authorization.");
    assert_eq!(invoker.seen().len(), 3);
}

#[tokio::test]
async fn bodies_have_their_limits_before_their_signature_is_looked_at() {
    let (api, invoker) = start().await;
    let body = format!("\"{}\"", "x".repeat(6_291_456));
    let head = by("ALL").sign("POST", INVOKE, body.as_bytes());
    let (status, kind, _) = api.raw("POST", INVOKE, &head, body.as_bytes()).await.error();
    assert_eq!((status, kind.as_str()), (413, "requestentitytoolargeexception"));
    let (status, kind, _) = api.raw("POST", MAPPINGS, &head, body.as_bytes()).await.error();
    assert_eq!((status, kind.as_str()), (413, "requesttoolargeexception"));
    assert_eq!(invoker.seen().len(), 0);
}

/// However slowly the upstream takes them.
#[tokio::test]
async fn long_bodies_are_held_four_at_a_time_until_they_are_passed_on() {
    let (api, _) = start().await;
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    *api.world.upstream.lock().unwrap() = Some(format!("http://{}", upstream.local_addr().unwrap()));
    let accept = async || tokio::time::timeout(LIMIT, upstream.accept()).await.expect("one is passed on").unwrap().0;
    let (path, body) = ("/2015-03-31/functions/other/code", vec![b'x'; 6_291_457]);
    let head = by("ALL").sign("PUT", path, &body);
    let length = body.len();
    let request = format!("PUT {path} HTTP/1.1\r\nhost: pelton\r\ncontent-length: {length}\r\n{head}\r\n").into_bytes();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (address, request, body) = (api.address, request.clone(), body.clone());
        clients.spawn(async move {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(&request).await.unwrap();
            client.write_all(&body).await.unwrap();
            let mut status = [0; 12];
            client.read_exact(&mut status).await.unwrap();
            assert_eq!(&status, b"HTTP/1.1 200");
        });
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(accept().await);
    }
    let fifth = tokio::time::timeout(Duration::from_secs(2), upstream.accept()).await;
    assert!(fifth.is_err(), "the fifth waits");
    // One that is taken makes room.
    let mut first = held.remove(0);
    let mut taken = Vec::new();
    while !taken.ends_with(&body) {
        let read = tokio::time::timeout(LIMIT, first.read_buf(&mut taken)).await.expect("the body comes").unwrap();
        assert_ne!(read, 0);
    }
    first.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
    let _fifth = accept().await;
    tokio::time::timeout(LIMIT, clients.join_next()).await.expect("one client is answered").unwrap().unwrap();
}
