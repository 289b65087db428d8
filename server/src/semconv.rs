//! Names of all spans, metrics and attributes. Dashboards, alarms and tests refer to them, so each is written
//! once.
//!
//! `gen_ai.*` follows OpenTelemetry's GenAI conventions as last released (1.41.1), or their newer repository,
//! which has no release yet; `rpc.*` follows the RPC conventions (1.44). Everything else is `switchboard.*`.
use tonic::Code;

/// Instrumentation scope of the tracer and of the meter.
pub const SCOPE: &str = "switchboard";

/// Attributes of spans and of data points.
pub mod attribute {
    #![expect(missing_docs, reason = "the conventions and docs/observability.md explain each")]
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    pub const RPC_METHOD: &str = "rpc.method";
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    pub const ERROR_TYPE: &str = "error.type";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const SERVER_PORT: &str = "server.port";
    pub const CLOUD_REGION: &str = "cloud.region";

    pub const OPERATION: &str = "gen_ai.operation.name";
    pub const PROVIDER: &str = "gen_ai.provider.name";
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
    pub const MAX_TOKENS: &str = "gen_ai.request.max_tokens";
    pub const TEMPERATURE: &str = "gen_ai.request.temperature";
    pub const TOP_P: &str = "gen_ai.request.top_p";
    pub const STOP_SEQUENCES: &str = "gen_ai.request.stop_sequences";
    pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    pub const RESPONSE_ID: &str = "gen_ai.response.id";
    pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    pub const CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
    pub const CACHE_CREATION: &str = "gen_ai.usage.cache_creation.input_tokens";
    pub const CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
    pub const TOKEN_TYPE: &str = "gen_ai.token.type";
    pub const TOKEN_MODALITY: &str = "gen_ai.token.modality";
    pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
    pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
    pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
    pub const EVALUATION_NAME: &str = "gen_ai.evaluation.name";
    pub const EVALUATION_SCORE: &str = "gen_ai.evaluation.score.value";
    pub const EVALUATION_LABEL: &str = "gen_ai.evaluation.score.label";
    pub const EVALUATION_EXPLANATION: &str = "gen_ai.evaluation.explanation";
    pub const GUARDRAIL_ID: &str = "aws.bedrock.guardrail.id";

    pub const OUR_REQUEST_ID: &str = "switchboard.request_id";
    pub const OUR_TASK: &str = "switchboard.task";
    pub const OUR_RESOLUTION: &str = "switchboard.task.resolution";
    pub const OUR_REQUESTED_TASK: &str = "switchboard.task.requested";
    pub const OUR_MODEL: &str = "switchboard.model";
    pub const OUR_REGION: &str = "switchboard.region";
    pub const OUR_CONFIG_VERSION: &str = "switchboard.config_version";
    pub const OUR_FALLBACK: &str = "switchboard.fallback";
    pub const OUR_ATTEMPTS: &str = "switchboard.attempts";
    pub const OUR_FAULT_DOMAIN: &str = "switchboard.fault_domain";
    pub const OUR_REASON: &str = "switchboard.reason";
    pub const OUR_OUTCOME: &str = "switchboard.outcome";
    pub const OUR_COST: &str = "switchboard.cost_usd";
    pub const OUR_COST_ESTIMATED: &str = "switchboard.cost_estimated";
    pub const OUR_OWN_TIME: &str = "switchboard.own_time";
    pub const OUR_HEDGE: &str = "switchboard.hedge";
    pub const OUR_ADJUSTMENTS: &str = "switchboard.adjustments";

    // of our own metrics
    pub const TASK: &str = "task";
    pub const MODEL: &str = "model";
    pub const METHOD: &str = "method";
    pub const REGION: &str = "region";
    pub const OUTCOME: &str = "outcome";
    pub const REASON: &str = "reason";
    pub const RESOLUTION: &str = "resolution";
    pub const FAULT_DOMAIN: &str = "fault_domain";
    pub const TYPE: &str = "type";
    pub const PATH: &str = "path";
    pub const ACTION: &str = "action";
    pub const ESTIMATED: &str = "estimated";
    pub const SERVICE_TIER: &str = "service_tier";
    pub const SIGNAL: &str = "signal";
    pub const CONFIG_VERSION: &str = "config_version";
    pub const VARIANT: &str = "variant";
    pub const JUDGE: &str = "judge";
    pub const KIND: &str = "kind";
}

/// Events of the span of a call.
pub mod event {
    #![expect(missing_docs, reason = "docs/observability.md explains each")]
    pub const FIRST_CONTENT: &str = "first_content";
    pub const RESTART: &str = "restart";
    pub const ROUTE: &str = "route";
    pub const SKIPPED: &str = "skipped";
    pub const ADJUSTED: &str = "adjusted";
    pub const EVALUATION: &str = "gen_ai.evaluation.result";
}

/// Instruments, each with its unit.
pub mod metric {
    #![expect(missing_docs, reason = "the conventions and docs/observability.md explain each")]
    pub const OPERATION_DURATION: (&str, &str) = ("gen_ai.client.operation.duration", "s");
    pub const TOKEN_USAGE: (&str, &str) = ("gen_ai.client.token.usage", "{token}");
    pub const TIME_TO_FIRST_CHUNK: (&str, &str) = ("gen_ai.client.operation.time_to_first_chunk", "s");
    pub const TIME_PER_OUTPUT_CHUNK: (&str, &str) = ("gen_ai.client.operation.time_per_output_chunk", "s");
    pub const DEV_INPUT: (&str, &str) = ("gen_ai.client.inference.usage.input_tokens", "{token}");
    pub const DEV_OUTPUT: (&str, &str) = ("gen_ai.client.inference.usage.output_tokens", "{token}");
    pub const DEV_CACHE_READ: (&str, &str) =
        ("gen_ai.client.inference.usage.cache_read.input_tokens", "{token}");
    pub const DEV_CACHE_WRITE: (&str, &str) =
        ("gen_ai.client.inference.usage.cache_write.input_tokens", "{token}");
    pub const RPC_DURATION: (&str, &str) = ("rpc.server.call.duration", "s");

    pub const CALLS: (&str, &str) = ("switchboard.calls", "{call}");
    pub const CALL_DURATION: (&str, &str) = ("switchboard.call.duration", "s");
    pub const FIRST_CONTENT: (&str, &str) = ("switchboard.call.first_content", "s");
    pub const OWN_TIME: (&str, &str) = ("switchboard.call.own_time", "s");
    pub const TOKENS: (&str, &str) = ("switchboard.tokens", "{token}");
    pub const ATTEMPTS: (&str, &str) = ("switchboard.attempts", "{attempt}");
    pub const FALLBACKS: (&str, &str) = ("switchboard.fallbacks", "{call}");
    pub const ADJUSTMENTS: (&str, &str) = ("switchboard.adjustments", "{adjustment}");
    pub const INTERVENTIONS: (&str, &str) = ("switchboard.guardrail.interventions", "{call}");
    pub const TRUNCATIONS: (&str, &str) = ("switchboard.truncations", "{call}");
    pub const COST: (&str, &str) = ("switchboard.cost", "USD");
    pub const PRICES_UNKNOWN: (&str, &str) = ("switchboard.prices.unknown", "{attempt}");
    pub const BREAKER_STATE: (&str, &str) = ("switchboard.breaker.state", "1");
    pub const CALLS_ACTIVE: (&str, &str) = ("switchboard.calls.active", "{call}");
    pub const SHED: (&str, &str) = ("switchboard.shed", "{call}");
    pub const GAPS: (&str, &str) = ("switchboard.gaps", "{member}");
    pub const QUALITY: (&str, &str) = ("switchboard.quality.score", "1");
    pub const FEEDBACK: (&str, &str) = ("switchboard.feedback", "{judgement}");
    pub const DROPPED: (&str, &str) = ("switchboard.telemetry.dropped", "{item}");
    pub const CONFIG_INFO: (&str, &str) = ("switchboard.config.info", "1");
}

/// The bounds of the histograms' buckets.
pub mod bounds {
    /// Of the GenAI conventions' durations. The last three are ours: reasoning models think for longer than
    /// 82 seconds.
    pub const OPERATION: [f64; 17] = [
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
        327.68, 655.36,
    ];
    /// Of their token counts.
    pub const TOKENS: [f64; 14] = [
        1.0,
        4.0,
        16.0,
        64.0,
        256.0,
        1024.0,
        4096.0,
        16384.0,
        65536.0,
        262_144.0,
        1_048_576.0,
        4_194_304.0,
        16_777_216.0,
        67_108_864.0,
    ];
    /// Of the RPC conventions' durations, and ours above 10 seconds, as before.
    pub const RPC: [f64; 18] = [
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 40.96, 81.92,
        163.84, 655.36,
    ];
    /// Of the time that is spent inside Switchboard.
    pub const OWN_TIME: [f64; 14] =
        [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
    /// Of quality, from 0 to 1.
    pub const QUALITY: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
}

pub use switchboard_proto::names::code_name as status;

/// Whether a status is an error of the server's, by the RPC conventions. What a caller did wrong is none.
#[must_use]
pub fn is_servers_error(code: Code) -> bool {
    use Code as C;
    matches!(
        code,
        C::Unknown | C::DeadlineExceeded | C::Unimplemented | C::Internal | C::Unavailable | C::DataLoss
    )
}
