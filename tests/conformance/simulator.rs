//! Client of the simulator's admin routes, see `simulator/src/admin.rs`.
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

/// Admin client of a running simulator.
#[derive(Debug)]
pub(crate) struct Simulator {
    address: String,
    http: Client<HttpConnector, Full<tonic::codegen::Bytes>>,
}

// === impl Simulator ===

impl Simulator {
    pub(crate) fn at(address: &str) -> Self {
        Self { address: address.to_owned(), http: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn inject(&self, fault: &Value) {
        let answer = self.request(Method::POST, "faults", fault).await;
        assert_eq!(answer, json!({}), "{fault}");
    }

    /// Removes all faults and recorded calls.
    pub(crate) async fn reset(&self) {
        self.request(Method::DELETE, "faults", &Value::Null).await;
        self.request(Method::DELETE, "calls", &Value::Null).await;
    }

    pub(crate) async fn calls(&self) -> Value {
        self.request(Method::GET, "calls", &Value::Null).await["calls"].take()
    }

    async fn request(&self, method: Method, route: &str, body: &Value) -> Value {
        let request = Request::builder().method(method).uri(format!("http://{}/_sim/{route}", self.address));
        let request = request.body(Full::from(body.to_string())).expect("is a valid request");
        let response = self.http.request(request).await.expect("the simulator answers");
        let body = response.into_body().collect().await.expect("the answer is complete").to_bytes();
        serde_json::from_slice(&body).expect("the answer is JSON")
    }
}
