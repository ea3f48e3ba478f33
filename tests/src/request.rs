//! Requests to Lambda's API as they go over the wire.
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};

use crate::Pelton;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `x-amzn-RequestId`.
    pub fn request_id(&self) -> &str {
        self.header("x-amzn-requestid")
    }

    /// Status, `x-amzn-ErrorType` and body.
    pub fn refusal(&self) -> (u16, &str, Value) {
        (self.status, self.header("x-amzn-errortype"), self.json())
    }
}

impl Pelton {
    /// Sends one request and reads the answer.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.as_ref().to_vec()).unwrap();
        let send = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .timeout_global(Some(Duration::from_secs(30)))
                .build()
                .into();
            let mut response = agent.run(request).unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = response.body_mut().read_to_string().unwrap();
            Answer { status, headers, body }
        };
        tokio::task::spawn_blocking(send).await.unwrap()
    }

    /// Invokes a function and gives the answer.
    pub async fn invoke(&self, function: &str, headers: &[(&str, &str)], payload: &Value) -> Answer {
        self.request("POST", &format!("/2015-03-31/functions/{function}/invocations"), headers, payload.to_string())
            .await
    }

    /// Invokes a function asynchronously, which must be accepted, and gives the request id.
    pub async fn invoke_later(&self, function: &str, payload: &Value) -> String {
        let answer = self.invoke(function, &[("X-Amz-Invocation-Type", "Event")], payload).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{answer:?}");
        answer.request_id().to_owned()
    }
}
