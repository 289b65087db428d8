//! Listener, HTTP/2 limits and admission.
use super::{duration, duration::shown, invalid::Invalid};
use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, num::NonZeroU32, ops::RangeInclusive, time::Duration};

/// `[server]`: listener, HTTP/2 limits and drain.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// IP address and port to listen on. `SWITCHBOARD_LISTEN` overrides it.
    pub listen: SocketAddr,
    /// Largest request, as encoded protobuf. Bedrock accepts five documents of 4.5 MB each, in base64.
    pub max_request_size: ByteSize,
    /// Time that running calls have to finish once draining has begun; then they are cut off.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// Time for which new calls are still accepted after health reports NOT_SERVING, so that load balancers
    /// can notice.
    #[serde(with = "duration")]
    pub drain_delay: Duration,
    /// True if tools such as `grpcurl` can learn the contract through server reflection.
    pub reflection: bool,
    /// Maximum time for a request to arrive. It limits how long a caller that opens calls and sends nothing can
    /// hold their permits.
    #[serde(with = "duration")]
    pub upload_timeout: Duration,
    /// Maximum number of concurrent calls on one connection, health checks included. Callers queue further
    /// calls without reporting it, so it is larger than `[admission] max_calls`: excess calls are rejected
    /// instead of queued.
    pub max_calls_per_connection: NonZeroU32,
    /// Largest metadata of a call. HTTP/2 counts each entry as its name and value plus 32 bytes.
    pub max_header_size: ByteSize,
    /// HTTP/2 flow-control window of a call: bytes of one request that may be in flight. A call receives at
    /// most this much per round trip.
    pub call_window: ByteSize,
    /// HTTP/2 flow-control window of a connection: bytes of all its requests that may be in flight, and that
    /// a connection can make Switchboard buffer unread.
    pub connection_window: ByteSize,
    /// Interval between HTTP/2 keep-alive pings. Connections that do not answer are closed, which frees the
    /// permits of callers that disappeared or never finished sending their headers. Zero: no pings.
    #[serde(with = "duration")]
    pub keepalive_interval: Duration,
    /// Time to wait for the answer to a ping before the connection is closed.
    #[serde(with = "duration")]
    pub keepalive_timeout: Duration,
    /// Age, plus or minus 10 %, at which a caller is asked to reconnect, so that calls spread to new
    /// instances behind a load balancer that balances connections. Running calls finish on the old
    /// connection. Zero: no maximum age.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
}

/// `[admission]`: load limits. Excess calls are rejected at once.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Maximum number of concurrent calls of `ConverseService`, each counted until the end of its answer.
    pub max_calls: NonZeroU32,
    /// Maximum number of those that may be streams. Absent: `max_calls`.
    pub max_streams: Option<NonZeroU32>,
}

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            max_request_size: ByteSize::mib(32),
            drain_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            reflection: true,
            upload_timeout: Duration::from_secs(5 * 60),
            max_calls_per_connection: const { NonZeroU32::new(2048).expect("is not zero") },
            max_header_size: ByteSize::kib(16),
            call_window: ByteSize::mib(4),
            connection_window: ByteSize::mib(16),
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            max_connection_age: Duration::from_secs(30 * 60),
        }
    }
}

impl Server {
    /// Bounds of flow-control windows: HTTP/2 starts with 65,535 bytes, and the size has 31 bits.
    const WINDOWS: RangeInclusive<ByteSize> = ByteSize::kib(64)..=ByteSize::b(i32::MAX as u64);
    /// Bounds of the metadata of a call: a smaller limit has no room for a token and a trace context, with a
    /// larger one the metadata could cost as much memory as a prompt.
    const HEADERS: RangeInclusive<ByteSize> = ByteSize::kib(4)..=ByteSize::mib(1);
    /// Largest maximum age of a connection.
    const MAX_CONNECTION_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    pub(super) fn check(&self) -> Result<(), Invalid> {
        for (key, size, bounds) in [
            ("max_header_size", self.max_header_size, Self::HEADERS),
            ("call_window", self.call_window, Self::WINDOWS),
            ("connection_window", self.connection_window, Self::WINDOWS),
        ] {
            if !bounds.contains(&size) {
                let problem = format!("is {size}: use {} to {}", bounds.start(), bounds.end());
                return Err(Invalid::new(key, problem));
            }
        }
        let (call, connection) = (self.call_window, self.connection_window);
        if call > connection {
            let problem = format!(
                "({call}) is larger than connection_window ({connection}), which all calls of a connection share: lower it, \
                 or raise connection_window"
            );
            return Err(Invalid::new("call_window", problem));
        }
        if self.keepalive_timeout.is_zero() {
            let problem = "is zero: use a longer time, or turn pings off with keepalive_interval = \"0s\"";
            return Err(Invalid::new("keepalive_timeout", problem));
        }
        if self.max_connection_age > Self::MAX_CONNECTION_AGE {
            let problem = format!("is {}: use at most 30days", shown(self.max_connection_age));
            return Err(Invalid::new("max_connection_age", problem));
        }
        Ok(())
    }
}

// === impl Admission ===

impl Default for Admission {
    fn default() -> Self {
        Self { max_calls: const { NonZeroU32::new(1024).expect("is not zero") }, max_streams: None }
    }
}

impl Admission {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        match self.max_streams {
            Some(streams) if streams > self.max_calls => {
                let problem = format!("({streams}) is more than max_calls ({}): lower it", self.max_calls);
                Err(Invalid::new("max_streams", problem))
            }
            _ => Ok(()),
        }
    }
}
