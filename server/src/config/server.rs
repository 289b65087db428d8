//! How calls come in, and how many.
use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, num::NonZeroU32, ops::RangeInclusive, time::Duration};

/// `[server]`: where and how we listen.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The address. `SWITCHBOARD_LISTEN` comes before it.
    pub listen: SocketAddr,
    /// The largest request. Bedrock takes documents of 4.5 MB, five to a message, in base64.
    pub max_request_size: ByteSize,
    /// How long streams may go on once draining has begun; then they are cut.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// How long new calls are still taken after health says NOT_SERVING, so that load balancers can notice.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// Whether the server describes itself to tools such as `grpcurl`.
    pub reflection: bool,
    /// How long a request may take to arrive, beyond what its call may take: a caller who opens calls and sends nothing
    /// must not hold their permits for ever.
    #[serde(with = "humantime_serde")]
    pub upload_timeout: Duration,
    /// Calls at once on one connection, health's too. Those beyond it wait at the caller, unseen; so it is more than
    /// `[admission] max_calls`, and what is too much is shed.
    pub max_calls_per_connection: NonZeroU32,
    /// The largest metadata of a call, as HTTP/2 counts it: 32 bytes over name and value for each entry.
    pub max_header_size: ByteSize,
    /// How much of a request may be on its way. A call receives this much in each round trip, no more.
    pub call_window: ByteSize,
    /// The same for all calls of a connection together, and the most that a connection may have sent unread.
    pub connection_window: ByteSize,
    /// How often a connection is asked for a sign of life, so that callers who vanished, or whose headers never end, do
    /// not hold their places. Zero: never.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// How long that sign may take; then the connection is closed.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// After how long a caller is asked to connect anew, give or take a tenth, so that calls spread over new instances
    /// behind a balancer of connections. What runs is finished. Zero: never.
    #[serde(with = "humantime_serde")]
    pub max_connection_age: Duration,
}

/// `[admission]`: how much is carried at once. What is too much is shed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Calls of the `ConverseService`, each until its answer's end.
    pub max_calls: NonZeroU32,
    /// How many of them may be streams. Absent: all.
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
    /// HTTP/2 begins with a window of 65,535 bytes, and knows none larger than 31 bits can count.
    const WINDOWS: RangeInclusive<ByteSize> = ByteSize::kib(64)..=ByteSize::b(i32::MAX as u64);
    /// Below, a token and a trace context do not fit; above, every call could cost what a prompt does.
    const HEADERS: RangeInclusive<ByteSize> = ByteSize::kib(4)..=ByteSize::mib(1);

    pub(super) fn check(&self) -> Result<(), String> {
        for (name, size, bounds) in [
            ("max_header_size", self.max_header_size, Self::HEADERS),
            ("call_window", self.call_window, Self::WINDOWS),
            ("connection_window", self.connection_window, Self::WINDOWS),
        ] {
            if !bounds.contains(&size) {
                return Err(format!("{name} is {size}: use {} to {}", bounds.start(), bounds.end()));
            }
        }
        if self.call_window > self.connection_window {
            return Err(format!(
                "call_window ({}) is larger than connection_window ({}), which holds for all calls together",
                self.call_window, self.connection_window
            ));
        }
        if self.keepalive_timeout.is_zero() {
            return Err("keepalive_timeout is zero: no sign of life could come in time".to_owned());
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
    pub(super) fn check(&self) -> Result<(), String> {
        match self.max_streams {
            Some(streams) if streams > self.max_calls => {
                Err(format!("max_streams ({streams}) is more than max_calls ({}): lower it", self.max_calls))
            }
            _ => Ok(()),
        }
    }
}
