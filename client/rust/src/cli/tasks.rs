//! `converse tasks` and `converse explain`: which models serve a task.

use super::{Failure, args::Args, closing_line::short, connect, json, terminal::Terminal};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};
use switchboard_client::pb;

const HEADINGS: [&str; 3] = ["TASK", "MAX TOKENS", "MODELS IN THE ORDER THEY ARE TRIED"];

/// Prints every task of the configuration.
pub(super) async fn list(args: &Args) -> Result<(), Failure> {
    let reply = connect(args).await?.tasks().await?;
    match args.output.json {
        true => json::print("ListTasksResponse", &reply),
        false => print(&table(&reply)),
    }
}

/// Prints what a call for one task would do now.
pub(super) async fn explain(args: &Args, task: &str, terminal: &Terminal) -> Result<(), Failure> {
    let reply = connect(args).await?.explain(task).await?;
    if let Some(warning) = unknown_task(reply.resolution(), task, &reply.task_type) {
        terminal.warn(&warning);
    }
    match args.output.json {
        true => json::print("ExplainRouteResponse", &reply),
        false => print(&explanation(&reply)),
    }
}

/// Returns the warning about a task that the server does not have. `None`: the server has the task.
pub(super) fn unknown_task(resolution: pb::Resolution, requested: &str, resolved: &str) -> Option<String> {
    (resolution == pb::Resolution::Unknown).then(|| {
        format!("no task \"{requested}\": served as \"{resolved}\" (`converse tasks` lists the tasks)")
    })
}

/// Returns a table with a line for each task, and a line below it for each further model.
fn table(reply: &pb::ListTasksResponse) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for task in &reply.tasks {
        let mut first = [task.task_type.clone(), task.max_tokens.to_string()];
        for candidate in &task.candidates {
            let [name, max_tokens] = std::mem::take(&mut first);
            rows.push([name, max_tokens, model(candidate)]);
        }
    }
    let name_width = rows.iter().map(|row| row[0].len()).max().unwrap_or_default();
    let mut text = String::new();
    for [name, max_tokens, model] in &rows {
        let _ =
            writeln!(text, "{name:name_width$}  {max_tokens:>width$}  {model}", width = HEADINGS[1].len());
    }
    let handling = match reply.unknown_tasks() {
        pb::UnknownTasks::Refuse => "are refused",
        _ => "are served as default",
    };
    let _ = writeln!(text, "\nother tasks {handling}; configuration {}", reply.config_version);
    text
}

fn explanation(reply: &pb::ExplainRouteResponse) -> String {
    let mut text = format!("task           {}\n", reply.task_type);
    for (position, candidate) in (1..).zip(&reply.candidates) {
        let (model, max_tokens) = (model(candidate), candidate.max_tokens);
        let _ = writeln!(text, "model {position:<8} {model}, at most {max_tokens} tokens");
    }
    let deadlines = reply.deadlines.unwrap_or_default();
    for (name, timeout) in [
        ("first content", deadlines.first_content),
        ("idle", deadlines.idle),
        ("attempt", deadlines.attempt),
        ("call", deadlines.call),
        ("reader", deadlines.reader),
    ] {
        let _ = writeln!(
            text,
            "{name:<14} {}",
            if timeout.is_some() { short(timeout) } else { "no limit".to_owned() }
        );
    }
    let _ = writeln!(text, "{:<14} {}", "configuration", reply.config_version);
    text
}

/// Returns `name (model id in region)`, with the service tier if the configuration sets one.
fn model(candidate: &pb::Candidate) -> String {
    let pb::Candidate { name, model_id, region, service_tier, .. } = candidate;
    match service_tier.as_str() {
        "" => format!("{name} ({model_id} in {region})"),
        tier => format!("{name} ({model_id} in {region}, tier {tier})"),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)
}
