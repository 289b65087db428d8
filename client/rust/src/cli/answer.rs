//! One question, one answer.

use super::{Failure, args::Args, closing_line::closing_line, json, terminal::Terminal};
use pb::{
    content_block_delta::Delta, reasoning_content_block_delta::Delta as Reasoning, tool_use_block::Arguments,
};
use switchboard_client::{Collected, Collector, Event, Switchboard, names::reason_name, pb};

/// Asks, and prints the answer in the form that the arguments ask for.
pub(super) async fn answer(
    switchboard: &Switchboard,
    request: pb::ConverseRequest,
    args: &Args,
    terminal: &Terminal,
) -> Result<(), Failure> {
    match (args.output.json, args.ask.no_stream) {
        (true, true) => json::print("ConverseResponse", &switchboard.converse(request).await?),
        (true, false) => print_events(switchboard, request).await,
        (false, true) => print_whole(switchboard, request, terminal).await,
        (false, false) => stream(switchboard, request, args.ask.show_reasoning, terminal).await.map(drop),
    }
}

/// Prints the answer while it is generated, then the closing line.
pub(super) async fn stream(
    switchboard: &Switchboard,
    request: pb::ConverseRequest,
    show_reasoning: bool,
    terminal: &Terminal,
) -> Result<Collected, Failure> {
    let mut page = Page::new(terminal, show_reasoning);
    let mut collector = Collector::default();
    let mut events = switchboard.stream(request).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        page.show(&event)?;
        collector.push(event);
    }
    page.end()?;
    let answer = collector.finish()?;
    tell_the_rest(&answer, terminal);
    Ok(answer)
}

async fn print_whole(
    switchboard: &Switchboard,
    request: pb::ConverseRequest,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut page = Page::new(terminal, false);
    let answer = Collected::from(switchboard.converse(request).await?);
    page.write(&answer.text())?;
    page.end()?;
    tell_the_rest(&answer, terminal);
    Ok(())
}

async fn print_events(switchboard: &Switchboard, request: pb::ConverseRequest) -> Result<(), Failure> {
    let mut events = switchboard.stream(request).await?;
    while let Some(event) = events.next().await {
        let event = pb::ConverseStreamResponse { event: Some(event?) };
        json::print("ConverseStreamResponse", &event)?;
    }
    Ok(())
}

/// What the model asked for beside its words, and the closing line.
fn tell_the_rest(answer: &Collected, terminal: &Terminal) {
    for tool_use in answer.tool_uses() {
        let arguments = match &tool_use.arguments {
            Some(Arguments::InputJson(json)) => json,
            _ => "…",
        };
        terminal.note(&format!("asks for the tool {}: {arguments}", tool_use.name));
    }
    terminal.closing(&closing_line(answer));
}

/// The state of what is on the screen.
struct Page<'a> {
    terminal: &'a Terminal,
    show_reasoning: bool,
    is_waiting: bool,
    is_inside_reasoning: bool,
    has_words: bool,
    ends_in_newline: bool,
}

// === impl Page ===

impl<'a> Page<'a> {
    fn new(terminal: &'a Terminal, show_reasoning: bool) -> Self {
        terminal.wait();
        Self {
            terminal,
            show_reasoning,
            is_waiting: true,
            is_inside_reasoning: false,
            has_words: false,
            ends_in_newline: false,
        }
    }

    fn show(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::ContentBlockDelta(event) => match event.delta.as_ref().and_then(|it| it.delta.as_ref()) {
                Some(Delta::Text(words)) => self.write(words),
                Some(Delta::ReasoningContent(piece)) => {
                    if let Some(Reasoning::Text(words)) = &piece.delta {
                        self.think(words);
                    }
                    Ok(())
                }
                _ => Ok(()),
            },
            Event::Restart(restart) => self.start_over(reason_name(restart.reason())),
            _ => Ok(()),
        }
    }

    fn write(&mut self, words: &str) -> Result<(), Failure> {
        if words.is_empty() {
            return Ok(());
        }
        self.clear();
        if self.is_inside_reasoning {
            self.is_inside_reasoning = false;
            self.terminal.note("");
        }
        self.has_words = true;
        self.ends_in_newline = words.ends_with('\n');
        self.terminal.answer(words)
    }

    fn think(&mut self, words: &str) {
        if self.show_reasoning && !words.is_empty() {
            self.clear();
            self.is_inside_reasoning = true;
            self.terminal.aside(words);
        }
    }

    /// A person is told to forget the words above; a program that reads a pipe cannot be told.
    fn start_over(&mut self, reason: &str) -> Result<(), Failure> {
        if self.has_words && !self.terminal.answer_is_watched() {
            return Err(Failure::StartedOver);
        }
        self.end()?;
        self.terminal.note(&format!("forget the above: the model failed ({reason}), another starts over"));
        self.has_words = false;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.clear();
        if std::mem::take(&mut self.is_inside_reasoning) {
            self.terminal.note("");
        }
        match self.is_inside_a_line() {
            true => self.write("\n"),
            false => Ok(()),
        }
    }

    fn is_inside_a_line(&self) -> bool {
        self.has_words && !self.ends_in_newline
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            self.terminal.stop_waiting();
        }
    }
}

/// After a call that failed or was cancelled, the next words begin on a line of their own.
impl Drop for Page<'_> {
    fn drop(&mut self) {
        self.clear();
        if self.is_inside_reasoning || (self.is_inside_a_line() && self.terminal.answer_is_watched()) {
            self.terminal.note("");
        }
    }
}
