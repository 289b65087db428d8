//! `converse chat`: an interactive chat. The whole conversation is sent with every turn.

use super::{
    Failure, answer,
    args::{Args, Generation},
    connect, prompt,
    terminal::Terminal,
};
use std::{future::Future, io, pin::Pin};
use switchboard_client::{Switchboard, pb, system, user};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines, Stdin},
    signal,
};

pub(super) const HELP: &str = "\
Commands in a chat:
  /reset         Start a new conversation
  /task NAME     Continue with another task
  /system TEXT   Replace the system prompt; without TEXT, remove it
  /quit          Quit, like Ctrl-D
  Ctrl-C         Stop the answer; at the prompt, quit

A turn that fails or is stopped is not added to the conversation.";

/// Line of input.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    Blank,
    Prompt(&'a str),
    Reset,
    Task(&'a str),
    System(&'a str),
    Quit,
    Unknown(&'a str),
}

struct Chat<'a> {
    switchboard: Switchboard,
    terminal: &'a Terminal,
    request: pb::ConverseRequest,
    /// One listener for the whole chat, so that a Ctrl-C between two waits is not lost.
    interrupt: Interrupt,
}

type Interrupt = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// Runs the chat until the input ends.
pub(super) async fn chat(args: &Args, generation: &Generation, terminal: &Terminal) -> Result<(), Failure> {
    if args.output.json {
        return Err(Failure::Usage("--json does not work with chat".to_owned()));
    }
    let switchboard = connect(args).await?;
    let mut request = pb::ConverseRequest::default();
    prompt::apply(generation, &mut request);
    let mut chat = Chat { switchboard, terminal, request, interrupt: Box::pin(signal::ctrl_c()) };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = chat.next_line(&mut lines).await? {
        if !chat.handle(Line::from(line.as_str())).await? {
            break;
        }
    }
    Ok(())
}

// === impl Line ===

impl<'a> From<&'a str> for Line<'a> {
    fn from(line: &'a str) -> Self {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "" => Self::Blank,
            "/reset" => Self::Reset,
            "/task" if !rest.is_empty() => Self::Task(rest),
            "/system" => Self::System(rest),
            "/quit" => Self::Quit,
            _ if line.starts_with('/') => Self::Unknown(word),
            _ => Self::Prompt(line),
        }
    }
}

// === impl Chat ===

impl Chat<'_> {
    async fn next_line(&mut self, lines: &mut Lines<BufReader<Stdin>>) -> Result<Option<String>, Failure> {
        self.terminal.prompt();
        tokio::select! {
            line = lines.next_line() => {
                line.map_err(|error| Failure::Usage(format!("standard input: {error}")))
            }
            _ = &mut self.interrupt => {
                self.terminal.note(""); // below the "^C"
                Err(Failure::Interrupted)
            }
        }
    }

    /// Handles a line. Returns false if the chat ends.
    async fn handle(&mut self, line: Line<'_>) -> Result<bool, Failure> {
        match line {
            Line::Blank => {}
            Line::Prompt(text) => self.send(text).await?,
            Line::Reset => self.request.messages.clear(),
            Line::Task(task) => task.clone_into(&mut self.request.task_type),
            Line::System("") => self.request.system.clear(),
            Line::System(text) => self.request.system = vec![system(text)],
            Line::Quit => return Ok(false),
            Line::Unknown(word) => self
                .terminal
                .note(&format!("unknown command {word}; use /reset, /task NAME, /system TEXT or /quit")),
        }
        Ok(true)
    }

    /// Sends a turn and prints the answer. A failed call is reported and not added to the conversation; only
    /// a failure to write the answer ends the chat.
    async fn send(&mut self, text: &str) -> Result<(), Failure> {
        let turns = self.request.messages.len();
        self.request.messages.push(user(text));
        let call = answer::stream(&self.switchboard, self.request.clone(), false, self.terminal);
        let result = tokio::select! {
            result = call => result,
            _ = &mut self.interrupt => {
                self.interrupt = Box::pin(signal::ctrl_c());
                Err(Failure::Interrupted)
            }
        };
        match result {
            Ok(answer) if !answer.message.content.is_empty() => self.request.messages.push(answer.message),
            Ok(_empty) => self.request.messages.truncate(turns),
            Err(failure @ (Failure::Output(_) | Failure::Runtime(_))) => return Err(failure),
            Err(failure) => {
                self.request.messages.truncate(turns);
                failure.report(self.terminal);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_that_begins_with_a_slash_is_a_command() {
        assert_eq!(Line::from("  "), Line::Blank);
        assert_eq!(Line::from(" what is /reset? "), Line::Prompt("what is /reset?"));
        assert_eq!(Line::from("/reset"), Line::Reset);
        assert_eq!(Line::from("/task coding"), Line::Task("coding"));
        assert_eq!(Line::from("/task"), Line::Unknown("/task"));
        assert_eq!(Line::from("/system be brief"), Line::System("be brief"));
        assert_eq!(Line::from("/resets"), Line::Unknown("/resets"));
    }
}
