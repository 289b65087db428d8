//! A server on a TCP socket and a real engine, for promises that depend on the network.
use crate::engine;
use std::net::SocketAddr;
use switchboard_proto::v1::converse_service_client::ConverseServiceClient;
use switchboard_server::{
    Drained, Parts, bedrock::Bedrock, catalogue::Catalogue, config::Config, serve, telemetry::Telemetry,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tonic::transport::{Channel, Endpoint, server::TcpIncoming};

/// A running server, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketServer {
    address: SocketAddr,
    server: JoinHandle<Drained>,
    drain: Option<oneshot::Sender<()>>,
}

impl SocketServer {
    /// Starts a server with this configuration, on the simulator at `bedrock`.
    pub(crate) async fn serving(mut config: Config, bedrock: String) -> Self {
        config.bedrock = engine::simulated_at(bedrock);
        let models = Bedrock::connect(&config.bedrock, ["us-east-1".to_owned()]).await.expect("connects");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address");
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let (drain, drained) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let drained = async { drop(drained.await) };
            let telemetry = Telemetry::default();
            let parts = Parts::fixed(&config, &Catalogue::built_in(), "us-east-1", models, &telemetry);
            serve(parts, incoming, drained).await.expect("serves")
        });
        Self { address, server, drain: Some(drain) }
    }

    /// The URL for callers.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client with a connection of its own.
    pub(crate) fn caller(&self) -> ConverseServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(self.address()).expect("is an address");
        ConverseServiceClient::new(endpoint.connect_lazy())
    }

    /// A connection, for tests that use HTTP/2 directly.
    pub(crate) async fn connection(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    /// Starts the drain; resolves when the server has ended.
    pub(crate) async fn drain(&mut self) -> Drained {
        drop(self.drain.take());
        (&mut self.server).await.expect("ends")
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}
