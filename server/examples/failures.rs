//! Prints the rows of the failure table as JSON; `cargo xtask generate` puts them into `docs/fallback.md`.
use serde_json::{Value, json};
use std::io::Write as _;
use switchboard_proto::names::code_name;
use switchboard_server::{
    failure::{EXCEPTIONS, FailureKind, HealthEffect},
    reason::{code, reason_name},
};

fn main() -> std::io::Result<()> {
    let rows = FailureKind::ALL.into_iter().map(row).collect::<Value>();
    writeln!(std::io::stdout(), "{rows}")
}

fn row(kind: FailureKind) -> Value {
    let row = kind.row();
    let names = EXCEPTIONS.iter().filter(|(_, named)| *named == kind).map(|(name, _)| format!("`{name}`"));
    let names = names.collect::<Vec<_>>().join(", ");
    let separator = if names.is_empty() { "" } else { ": " };
    let next_model = match kind {
        FailureKind::ContextTooLong => json!("a larger one"),
        _ => json!(row.try_next),
    };
    let health = match row.health {
        HealthEffect::None => Value::Null,
        HealthEffect::Failure => json!("breaker"),
        HealthEffect::Throttled => json!("cool-down"),
        HealthEffect::QuotaExhausted => json!("long cool-down"),
    };
    json!({
        "what_happened": format!("{names}{separator}{}", kind.description()),
        "next_model": next_model,
        "same_model_again": row.retry,
        "health": health,
        "status": code_name(code(row.reason)),
        "reason": reason_name(row.reason),
    })
}
