//! Names that the project has replaced by the standard term.

/// A name that must not be defined.
#[derive(Debug)]
pub(super) struct Name {
    /// Start of the paths of the files in which the name is refused.
    pub(super) folder: &'static str,
    pub(super) old: &'static str,
    /// The term to use.
    pub(super) new: &'static str,
}

/// Every [`Name::folder`] is one of these or inside one.
pub(super) const FOLDERS: [&str; 1] = ["server/"];

const fn name(old: &'static str, new: &'static str) -> Name {
    Name { folder: "server/", old, new }
}

const fn name_in(folder: &'static str, old: &'static str, new: &'static str) -> Name {
    Name { folder, old, new }
}

/// Structs, enums, traits and type aliases.
pub(super) const TYPES: &[Name] = &[
    name("Joined", "CoalescingIo"),
    name("Watched", "StallGuardBody"),
    name("Watch", "StallGuardBody"),
    name("Kept", "DeferredRecord"),
    name("Why", "StallReason"),
    name("Running", "InFlight or AttemptGuard"),
    name("Lines", "LogWriter"),
    name("Writing", "WriterGuard"),
    name("Waiting", "Buffer"),
    name("Attempt", "Operation"),
    name("Whole", "Operation"),
    name("Streamed", "Operation"),
    name("On", "AttemptContext"),
    name("Form", "Method"),
    name("Others", "Remaining"),
    name("SoFar", "Progress"),
    name("Shares", "FallbackCap"),
    name("Pace", "LatencyEstimate"),
    name("Learned", "LatencyEstimate"),
    name("Targets", "Deployments"),
    name("Trial", "BreakerPermit"),
    name("Says", "HealthEffect"),
    name("Gate", "Permit"),
    name("Try", "PlannedAttempt"),
    name("Ask", "ModelRequest"),
    name("Asked", "ShapeInput"),
    name("Making", "RoutesBuilder"),
    name("Swap", "BodyInterceptor"),
    name("Taken", "BodyInterceptor"),
    name("Shelf", "IdleConnections"),
    name("OneMore", "InUseGuard"),
    name("Proof", "RequestAuth"),
    name("Warming", "KeepWarm"),
    name("Frames", "EventStreamDecoder"),
    name("Gap", "UnknownMember"),
    name("KnownGaps", "UnknownMembers"),
    name("News", "WakeGate"),
    name("Awaited", "WakeGate"),
    name("Sent", "ReceivedCounter"),
    name("Anew", "Restart"),
    name("Nowhere", "Drained"),
    name("Busy", "PollTimer"),
    name("Tracked", "Timed"),
    name("Seen", "CallObserver"),
    name("Arrival", "UnroutedCall"),
    name("Reached", "RoutedFlag"),
    name("Keep", "KeepErrors"),
    name("Recording", "RecordAll"),
    name("Leaving", "ExportRuntime"),
    name("OnRuntime", "RuntimeHttpClient"),
    name("Told", "AttemptLabels"),
    name("Remembered", "AnswerRecord"),
    name("OnJudged", "JudgementSink"),
    name("Gathered", "PendingAnswers"),
    name("Family", "ModelFamily"),
    name("Wrong", "Violations"),
    name_in("server/src/route", "Target", "Deployment"),
    name_in("server/catalogue/src", "Known", "Resolved"),
    name_in("server/src/telemetry", "Counting", "CountDropped"),
    name_in("server/src/bedrock/", "Source", "AwsConfig"),
    name_in("server/src/bedrock/", "Place", "Endpoint"),
    name_in("server/src/bedrock/", "Line", "Connection"),
    name_in("server/src/bedrock/", "InUse", "InUseGauge"),
    name_in("server/src/bedrock/", "Keys", "SigV4Signer"),
    name_in("server/src/bedrock/", "Shape", "MessageTable"),
    name_in("server/src/bedrock/", "ShapeId", "MessageId"),
];

/// Variants of enums.
pub(super) const VARIANTS: &[Name] =
    &[name("Ill", "Failure"), name("Spent", "QuotaExhausted"), name("Shut", "Rejected")];

/// Functions and methods.
pub(super) const FUNCTIONS: &[Name] = &[
    name("may_have_company", "may_coalesce"),
    name("more_to_come", "skip_next_flush"),
    name("look_on", "monitor"),
    name("in_our_words", "map_decode_error"),
    name("step_back", "lower_priority"),
    name("keep_home", "mark_residency"),
    name("leaving", "residency_violations"),
    name("of_the_day", "signing_key"),
    name("has_come", "ready"),
    name("to_be_judged", "with_feedback"),
    name("well_after", "completed_after"),
    name("completed_and_dropped_later", "complete_on_drop"),
    name("resolve_as", "resolve"),
    name("both_ways_out", "connect_hint"),
    name("strangers", "unknown_models"),
    name("beside", "relative_to"),
    name("asked_to_stop", "shutdown_signal"),
    name("tell", "record or report"),
    name("told", "a verb with its object, e.g. reported_losses"),
    name("asked", "a verb with its object"),
];

/// Constants. A limit is called `MAX_…` or `MIN_…`, with the unit in its name or its comment.
pub(super) const CONSTANTS: &[Name] = &[
    name("MOST_AT_ONCE", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("MOST_WAITING", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("MOST_KEPT", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("LARGEST_ANSWER", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("LEAST", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("SPAN", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("AHEAD", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("MARGIN", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("ENDLESS", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("PATIENCE", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("LOAD", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("OFTENEST", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("RAREST", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("LONGEST", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("HEAD", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("ROOM", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("PLACES", "MAX_… or MIN_… with its unit, or a plain noun"),
    name("MOST", "MAX_BUFFERED"),
    name("MOST_TURNS", "MAX_YIELDS"),
    name("PIECE", "MAX_DATA_FRAME"),
    name("NICER", "NICE_INCREMENT"),
    name("BESIDES", "RESERVED_FILES"),
    name("METHODS", "Method"),
];

/// Modules, by the name of their file.
pub(super) const MODULES: &[Name] = &[
    name("joined", "edge/write_coalescing"),
    name("reader", "edge/stalled_reader"),
    name("lines", "log/writer"),
    name("background", "thread_priority"),
    name("open_files", "rlimit"),
    name("forms", "attempt/operation"),
    name("race", "attempt/hedge"),
    name("so_far", "attempt/progress"),
    name_in("server/src/attempt", "share", "attempt/fallback_cap"),
    name_in("server/src/attempt", "floor", "attempt/min_throughput"),
    name("pace", "deployment/latency"),
    name("targets", "deployment"),
    name_in("server/src/bedrock/", "source", "bedrock/aws_config"),
    name("swap", "sdk/body_interceptor"),
    name("place", "direct/endpoint"),
    name_in("server/src/bedrock/", "line", "direct/connection"),
    name_in("server/src/bedrock/", "keys", "direct/sigv4"),
    name_in("server/src/bedrock/", "sign", "direct/auth"),
    name("warm", "direct/keep_warm"),
    name("frames", "codec/event_stream"),
    name("news", "relay/wake_gate"),
    name("sent", "relay/received"),
    name("seen", "telemetry/observer"),
    name("ends", "telemetry/summary"),
    name("blame", "telemetry/fault_domain"),
    name("keep", "telemetry/error_sampling"),
    name("active", "telemetry/in_flight"),
    name("series", "telemetry/bound_series"),
    name("clocks", "config/deadline"),
    name_in("server/src/config", "health", "config/resilience"),
];
