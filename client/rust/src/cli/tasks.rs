//! `converse tasks` and `converse explain`: which model serves what, and why.

use super::{Failure, args::Args, closing_line::short, connect, json};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};
use switchboard_client::pb;

const HEADINGS: [&str; 3] = ["TASK", "MAX TOKENS", "MODELS, IN THE ORDER IN WHICH THEY ARE TRIED"];

/// Prints every task that the configuration names.
pub(super) async fn list(args: &Args) -> Result<(), Failure> {
    let reply = connect(args).await?.tasks().await?;
    match args.output.json {
        true => json::print("ListTasksResponse", &reply),
        false => print(&table(&reply)),
    }
}

/// Prints what a call for one task would do.
pub(super) async fn explain(args: &Args, task: &str) -> Result<(), Failure> {
    let reply = connect(args).await?.explain(task).await?;
    match args.output.json {
        true => json::print("ExplainRouteResponse", &reply),
        false => print(&explanation(&reply)),
    }
}

/// A line for each task, and one below it for each further model.
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
    let fate = if reply.unknown_tasks() == pb::UnknownTasks::Refuse {
        "are refused"
    } else {
        "are served as default"
    };
    let _ = writeln!(text, "\nother tasks {fate}; configuration {}", reply.config_version);
    text
}

/// How the task was chosen, in a word.
fn resolution(resolution: pb::Resolution) -> &'static str {
    match resolution {
        pb::Resolution::Named => "named",
        pb::Resolution::Absent => "no task was named",
        pb::Resolution::Unknown => "the named task does not exist",
        pb::Resolution::Unspecified => "unspecified",
    }
}

fn explanation(reply: &pb::ExplainRouteResponse) -> String {
    let mut text = format!("task           {} ({})\n", reply.task_type, resolution(reply.resolution()));
    for (position, candidate) in (1..).zip(&reply.candidates) {
        let (model, max_tokens) = (model(candidate), candidate.max_tokens);
        let _ = writeln!(text, "model {position:<8} {model}, at most {max_tokens} tokens");
    }
    let clocks = reply.deadlines.unwrap_or_default();
    for (name, clock) in [
        ("first content", clocks.first_content),
        ("idle", clocks.idle),
        ("attempt", clocks.attempt),
        ("call", clocks.call),
        ("reader", clocks.reader),
    ] {
        let _ = writeln!(
            text,
            "{name:<14} {}",
            if clock.is_some() { short(clock) } else { "no limit".to_owned() }
        );
    }
    let _ = writeln!(text, "{:<14} {}", "configuration", reply.config_version);
    text
}

fn model(candidate: &pb::Candidate) -> String {
    format!("{} ({} in {})", candidate.name, candidate.model_id, candidate.region)
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)
}
