//! The simulator's admin routes, see `simulator/src/admin.rs`.
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

/// A simulator that runs, to be upset and looked into.
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
        let answer = self.ask(Method::POST, "faults", fault).await;
        assert_eq!(answer, json!({}), "{fault}");
    }

    /// No more faults, and the calls so far forgotten.
    pub(crate) async fn calm(&self) {
        self.ask(Method::DELETE, "faults", &Value::Null).await;
        self.ask(Method::DELETE, "calls", &Value::Null).await;
    }

    pub(crate) async fn calls(&self) -> Value {
        self.ask(Method::GET, "calls", &Value::Null).await["calls"].take()
    }

    async fn ask(&self, method: Method, route: &str, body: &Value) -> Value {
        let request = Request::builder().method(method).uri(format!("http://{}/_sim/{route}", self.address));
        let request = request.body(Full::from(body.to_string())).expect("is a request");
        let response = self.http.request(request).await.expect("the simulator answers");
        let body = response.into_body().collect().await.expect("the simulator ends its answer").to_bytes();
        serde_json::from_slice(&body).expect("the simulator speaks JSON")
    }
}
