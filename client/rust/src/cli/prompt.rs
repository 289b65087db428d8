//! From words, files and pipes to a request.

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

/// The request that the arguments and standard input describe.
pub(super) fn request(ask_args: &Ask) -> Result<pb::ConverseRequest, Failure> {
    let mut request = match &ask_args.request {
        Some(path) => json::parse_request(&read(path)?)?,
        None => ask(ask_args.generation.task(), prompt(ask_args)?),
    };
    apply(&ask_args.generation, &mut request);
    Ok(request)
}

/// Puts what was given on the command line into a request, over what is there.
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

/// The words of the command line, then the material: a file, or what is piped in.
fn prompt(args: &Ask) -> Result<String, Failure> {
    let words = args.prompt.join(" ");
    let material = match &args.file {
        Some(path) => read(path)?,
        None if io::stdin().is_terminal() => String::new(),
        None => read(Path::new("-"))?,
    };
    let material = material.trim_end();
    match (words.trim().is_empty(), material.is_empty()) {
        (false, true) => Ok(words),
        (true, false) => Ok(material.to_owned()),
        (false, false) => Ok(format!("{words}\n\n{material}")),
        (true, true) => {
            Err(Failure::Usage("no prompt: give one, pipe one in, or try `converse chat`".to_owned()))
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let (name, done) = match path.to_str() {
        Some("-") => ("standard input".into(), io::stdin().read_to_string(&mut text)),
        _ => {
            (path.to_string_lossy(), fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)))
        }
    };
    done.map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    Ok(text)
}
