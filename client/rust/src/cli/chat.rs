//! `converse chat`: the conversation is kept here and sent whole with every turn.

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
While it talks:
  /reset         forgets the conversation
  /task NAME     goes on with another task
  /system TEXT   replaces the instructions; without TEXT, removes them
  /quit          ends, as Ctrl-D does
  Ctrl-C         stops the answer; at the prompt, ends

A turn that fails or is stopped is not kept.";

/// What a line asks for.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    Nothing,
    Say(&'a str),
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
    /// One listener throughout: a Ctrl-C between two waits is not lost.
    interrupt: Interrupt,
}

type Interrupt = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// Talks until the lines end.
pub(super) async fn chat(args: &Args, generation: &Generation, terminal: &Terminal) -> Result<(), Failure> {
    if args.output.json {
        return Err(Failure::Usage("a conversation has no JSON form".to_owned()));
    }
    let switchboard = connect(args).await?;
    let mut request = pb::ConverseRequest::default();
    prompt::apply(generation, &mut request);
    let mut chat = Chat { switchboard, terminal, request, interrupt: Box::pin(signal::ctrl_c()) };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = chat.next_line(&mut lines).await? {
        if !chat.obey(Line::from(line.as_str())).await? {
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
            "" => Self::Nothing,
            "/reset" => Self::Reset,
            "/task" if !rest.is_empty() => Self::Task(rest),
            "/system" => Self::System(rest),
            "/quit" => Self::Quit,
            _ if line.starts_with('/') => Self::Unknown(word),
            _ => Self::Say(line),
        }
    }
}

// === impl Chat ===

impl Chat<'_> {
    async fn next_line(&mut self, lines: &mut Lines<BufReader<Stdin>>) -> Result<Option<String>, Failure> {
        self.terminal.invite();
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

    /// False: the conversation is over.
    async fn obey(&mut self, line: Line<'_>) -> Result<bool, Failure> {
        match line {
            Line::Nothing => {}
            Line::Say(words) => self.say(words).await?,
            Line::Reset => self.request.messages.clear(),
            Line::Task(task) => task.clone_into(&mut self.request.task_type),
            Line::System("") => self.request.system.clear(),
            Line::System(text) => self.request.system = vec![system(text)],
            Line::Quit => return Ok(false),
            Line::Unknown(word) => {
                self.terminal.note(&format!("{word}: not one of /reset, /task NAME, /system TEXT, /quit"))
            }
        }
        Ok(true)
    }

    /// A failed call is told and forgotten; only an answer that cannot be written ends the conversation.
    async fn say(&mut self, words: &str) -> Result<(), Failure> {
        let turns = self.request.messages.len();
        self.request.messages.push(user(words));
        let call = answer::stream(&self.switchboard, self.request.clone(), false, self.terminal);
        let answered = tokio::select! {
            answered = call => answered,
            _ = &mut self.interrupt => {
                self.interrupt = Box::pin(signal::ctrl_c());
                Err(Failure::Interrupted)
            }
        };
        match answered {
            Ok(answer) if !answer.message.content.is_empty() => self.request.messages.push(answer.message),
            Ok(_nothing_to_keep) => self.request.messages.truncate(turns),
            Err(failure @ (Failure::Output(_) | Failure::Runtime(_))) => return Err(failure),
            Err(failure) => {
                self.request.messages.truncate(turns);
                failure.tell(self.terminal);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_only_if_it_begins_with_a_slash() {
        assert_eq!(Line::from("  "), Line::Nothing);
        assert_eq!(Line::from(" what is /reset? "), Line::Say("what is /reset?"));
        assert_eq!(Line::from("/reset"), Line::Reset);
        assert_eq!(Line::from("/task coding"), Line::Task("coding"));
        assert_eq!(Line::from("/task"), Line::Unknown("/task"));
        assert_eq!(Line::from("/system be brief"), Line::System("be brief"));
        assert_eq!(Line::from("/resets"), Line::Unknown("/resets"));
    }
}
