//! Builds a request from arguments, files and pipes.

use super::{
    Failure,
    args::{Ask, Generation},
    json,
};
use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::Path,
};
use switchboard_client::{ask, pb, system};

/// Returns the request that the arguments and standard input describe.
pub(super) fn request(ask_args: &Ask) -> Result<pb::ConverseRequest, Failure> {
    let mut request = match &ask_args.request {
        Some(path) => json::parse_request(&read(path)?)?,
        None => ask(ask_args.generation.task(), prompt(ask_args)?),
    };
    apply(&ask_args.generation, &mut request);
    Ok(request)
}

/// Sets the fields that were given on the command line, replacing existing values.
pub(super) fn apply(generation: &Generation, request: &mut pb::ConverseRequest) {
    let Generation { task, system: instructions, max_tokens, temperature, top_p, stop } = generation;
    if let Some(task) = task {
        request.task_type.clone_from(task);
    }
    if let Some(instructions) = instructions {
        request.system = vec![system(instructions)];
    }
    if max_tokens.is_none() && temperature.is_none() && top_p.is_none() && stop.is_empty() {
        return;
    }
    let config = request.inference_config.get_or_insert_default();
    config.max_tokens = max_tokens.or(config.max_tokens);
    config.temperature = temperature.or(config.temperature);
    config.top_p = top_p.or(config.top_p);
    if !stop.is_empty() {
        config.stop_sequences.clone_from(stop);
    }
}

/// Returns the prompt of the command line, followed by the content of a file or a pipe.
fn prompt(args: &Ask) -> Result<String, Failure> {
    let prompt = args.prompt.join(" ");
    let content = match &args.file {
        Some(path) => read(path)?,
        None if io::stdin().is_terminal() => String::new(),
        None => read(Path::new("-"))?,
    };
    let content = content.trim_end();
    match (prompt.trim().is_empty(), content.is_empty()) {
        (false, true) => Ok(prompt),
        (true, false) => Ok(content.to_owned()),
        (false, false) => Ok(format!("{prompt}\n\n{content}")),
        (true, true) => Err(Failure::Usage(
            "no prompt: pass one as an argument, pipe one in, or use `converse chat`".to_owned(),
        )),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let (name, result) = match path.to_str() {
        Some("-") => ("standard input".into(), io::stdin().read_to_string(&mut text)),
        _ => {
            (path.to_string_lossy(), fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)))
        }
    };
    result.map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    Ok(text)
}
