//! Passes requests on to another Lambda endpoint, as they are: method, path, query, headers and body; streaming both ways.
use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use uuid::Uuid;

use super::error::ApiError;
use crate::connections::Patience;

/// How long the upstream may take to be reached.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection that isn't used stays open: not as long as servers usually keep theirs.
const IDLE: Duration = Duration::from_secs(4);
/// Headers that are about one connection, not about the request (RFC 9110, 7.6.1). Bodies are framed anew. An
/// expectation has been met when the body is read.
const OF_THE_CONNECTION: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Connections to wherever requests are passed on to.
pub struct Upstream {
    client: Client<HttpConnector, Passing>,
    /// Tells this process's own requests when they come back.
    name: String,
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

impl Upstream {
    /// Makes no connection yet.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
        Self { client, name: format!("pelton-{}", Uuid::new_v4().simple()) }
    }

    /// Passes a request on. How long the answer may take is the client's business.
    pub(super) async fn pass_on(
        &self,
        endpoint: Option<String>,
        request: Request,
        patience: Patience,
    ) -> Result<Response, ApiError> {
        let Some(endpoint) = endpoint else {
            return Err(ApiError::bad_gateway(
                "Pelton serves event source mappings and passes everything else on to the Lambda endpoint of its file \
                 (Endpoint, or Endpoints.Lambda), which names none but AWS itself. Requests are signed for one host, so \
                 they can't be passed on there: send this one to AWS.",
            ));
        };
        let (mut parts, body) = request.into_parts();
        let vias = parts.headers.get_all(header::VIA).iter().filter_map(|via| via.to_str().ok());
        if vias.flat_map(|via| via.split(',')).any(|via| via.trim().ends_with(&self.name)) {
            return Err(ApiError::bad_gateway(format!(
                "The Lambda endpoint {endpoint} that Pelton passes requests on to is Pelton itself: let Endpoints.Lambda \
                 (or AWS_ENDPOINT_URL_LAMBDA) name another one."
            )));
        }
        parts.uri = target(&endpoint, &parts.uri).map_err(ApiError::bad_gateway)?;
        parts.version = Version::HTTP_11;
        remove_connection_headers(&mut parts.headers);
        if let Ok(via) = HeaderValue::from_str(&format!("1.1 {}", self.name)) {
            parts.headers.append(header::VIA, via);
        }
        let answered = self.client.request(Request::from_parts(parts, Passing::up(body, patience.clone()))).await;
        patience.set(false);
        let (mut parts, body) = match answered {
            Ok(answer) => answer.into_parts(),
            Err(error) => {
                let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                tracing::warn!(endpoint, reason, "a request could not be passed on");
                return Err(ApiError::bad_gateway(format!(
                    "The Lambda endpoint {endpoint} that Pelton passes requests on to doesn't answer: {reason}"
                )));
            }
        };
        parts.version = Version::HTTP_11;
        remove_connection_headers(&mut parts.headers);
        Ok(Response::from_parts(parts, Body::new(Passing::down(Body::new(body), patience))))
    }
}

/// The same path and query at the endpoint, byte for byte.
fn target(endpoint: &str, asked: &Uri) -> Result<Uri, String> {
    let problem = |reason: &str| format!("Pelton can't pass requests on to the Lambda endpoint {endpoint}: {reason}");
    let base: Uri = endpoint.parse().map_err(|_| problem("it is no URL."))?;
    match base.scheme_str() {
        Some("http") => {}
        _ => return Err(problem("it passes on to http:// endpoints only.")),
    }
    let authority = base.authority().ok_or_else(|| problem("it has no host."))?;
    let path = asked.path_and_query().map_or("/", |path| path.as_str());
    let uri = format!("http://{authority}{}{path}", base.path().trim_end_matches('/'));
    uri.parse().map_err(|_| problem("path and query don't fit behind it."))
}

fn remove_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in OF_THE_CONNECTION.iter().chain(&named) {
        headers.remove(name);
    }
}

/// A body on its way through, which tells for whom the connection waits.
struct Passing {
    body: Body,
    patience: Patience,
    /// From the client: it may not be silent before the body has ended. From the upstream: the client has to wait.
    is_up: bool,
}

impl Passing {
    fn up(body: Body, patience: Patience) -> Self {
        patience.set(body.is_end_stream());
        Self { body, patience, is_up: true }
    }

    fn down(body: Body, patience: Patience) -> Self {
        Self { body, patience, is_up: false }
    }
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match self.is_up {
            true => self.patience.set(self.body.is_end_stream() || matches!(polled, Poll::Ready(None))),
            false => self.patience.set(polled.is_pending()),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if !self.is_up {
            self.patience.set(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_stay_as_they_are() {
        let asked: Uri = "/2015-03-31/functions/a%2Fb%20c/x?Qualifier=%241&a=+b".parse().unwrap();
        for (endpoint, expected) in [
            ("http://localhost:4566", "http://localhost:4566"),
            ("http://localhost:4566/", "http://localhost:4566"),
            ("http://[::1]:80/lambda/", "http://[::1]:80/lambda"),
        ] {
            assert_eq!(target(endpoint, &asked).unwrap().to_string(), format!("{expected}{asked}"));
        }
        for endpoint in ["https://localhost", "localhost", "", "http://"] {
            assert!(target(endpoint, &asked).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn what_is_about_the_connection_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("te", "trailers"),
            ("host", "localhost:9400"),
            ("authorization", "AWS4-HMAC-SHA256 …"),
        ] {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        remove_connection_headers(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort();
        assert_eq!(left, ["authorization", "host"]);
    }
}
