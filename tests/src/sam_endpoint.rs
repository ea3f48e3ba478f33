//! What `sam local start-lambda` serves, by the rules of `local_lambda_http_service.py` of SAM CLI 1.170.
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Knows the function `Hello`, and `Invoke` of all of Lambda's API. Ends with its value.
///
/// `Hello` gives back its event, or fails if that says `{"do":"fail"}` or one of its messages does.
#[derive(Debug)]
pub struct SamEndpoint {
    /// Its URL.
    pub endpoint: String,
    events: Arc<Mutex<Vec<Value>>>,
    _tasks: JoinSet<()>,
}

impl SamEndpoint {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let events = Arc::<Mutex<Vec<Value>>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, events.clone()));
        Self { endpoint, events, _tasks: tasks }
    }

    /// The events that the function has got so far.
    pub fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, events: Arc<Mutex<Vec<Value>>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let events = events.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &events));
            // An error is a connection that the other side has cut.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, events: &Mutex<Vec<Value>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(Response::default()) };
    let header = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let path = parts.uri.path();
    let name = path.strip_prefix("/2015-03-31/functions/").and_then(|rest| rest.strip_suffix("/invocations"));
    let Some(name) = name else {
        return Ok(refusal(404, "PathNotFoundLocally", "LocalService", "PathNotFoundException"));
    };
    if parts.method != Method::POST {
        return Ok(refusal(405, "MethodNotAllowedLocally", "LocalService", "MethodNotAllowedException"));
    }
    if parts.uri.query().is_some() {
        return Ok(refusal(400, "InvalidRequestContent", "User", "Query Parameters are not supported"));
    }
    if !["", "None"].contains(&header("x-amz-log-type")) {
        let text = format!("log-type: {} is not supported. None is only supported.", header("x-amz-log-type"));
        return Ok(refusal(501, "NotImplemented", "LocalService", &text));
    }
    // Names and ARNs, with or without a qualifier, which it passes over.
    let name = name.replace("%3A", ":").replace("%24", "$");
    let name = name.rsplit_once("function:").map_or(name.as_str(), |(_, name)| name).split(':').next().unwrap();
    if name != "Hello" {
        let text = format!("Function not found: arn:aws:lambda:us-west-2:012345678901:function:{name}");
        return Ok(refusal(404, "ResourceNotFound", "User", &text));
    }
    let event: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    let fails = event.to_string().contains("fail");
    events.lock().unwrap().push(event.clone());
    let mut response = Response::builder().header("Content-Type", "application/json");
    let mut payload = event;
    if fails {
        response = response.header("x-amz-function-error", "Unhandled");
        payload = json!({ "errorMessage": "told to fail", "errorType": "ValueError" });
    }
    Ok(response.body(Full::new(payload.to_string().into())).unwrap())
}

fn refusal(status: u16, code: &str, kind: &str, message: &str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("x-amzn-errortype", code);
    let body = json!({ "Type": kind, "Message": message }).to_string();
    response.header("Content-Type", "application/json").body(Full::new(body.into())).unwrap()
}
