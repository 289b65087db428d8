//! Prints the answer to one request.

use super::{Failure, args::Args, closing_line::closing_line, json, tasks::unknown_task, terminal::Terminal};
use pb::{
    content_block_delta::Delta, reasoning_content_block_delta::Delta as Reasoning, tool_use_block::Arguments,
};
use switchboard_client::{Collected, Collector, Event, Switchboard, names::reason_name, pb};

/// Sends the request and prints the answer in the format that the arguments select.
pub(super) async fn answer(
    switchboard: &Switchboard,
    request: pb::ConverseRequest,
    args: &Args,
    terminal: &Terminal,
) -> Result<(), Failure> {
    match (args.output.json, args.ask.no_stream) {
        (true, true) => {
            let response = switchboard.converse(request).await?;
            warn_of_unknown_task(response.route.as_ref(), terminal);
            json::print("ConverseResponse", &response)
        }
        (true, false) => print_events(switchboard, request, terminal).await,
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
    print_summary(&answer, terminal);
    Ok(answer)
}

async fn print_whole(
    switchboard: &Switchboard,
    request: pb::ConverseRequest,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut page = Page::new(terminal, false);
    let answer = Collected::from(switchboard.converse(request).await?);
    page.warn_of_unknown_task(answer.route.as_ref());
    page.write(&answer.text())?;
    page.end()?;
    print_summary(&answer, terminal);
    Ok(())
}

async fn print_events(
    switchboard: &Switchboard,
    request: pb::ConverseRequest,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let mut events = switchboard.stream(request).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        if let Event::Route(route) = &event {
            warn_of_unknown_task(Some(route), terminal);
        }
        let event = pb::ConverseStreamResponse { event: Some(event) };
        json::print("ConverseStreamResponse", &event)?;
    }
    Ok(())
}

/// Warns if the server did not know the task and used the default task.
fn warn_of_unknown_task(route: Option<&pb::Route>, terminal: &Terminal) {
    let warning = route
        .and_then(|route| unknown_task(route.resolution(), &route.requested_task_type, &route.task_type));
    if let Some(warning) = warning {
        terminal.warn(&warning);
    }
}

/// Prints the tool calls that the model requests, and the closing line.
fn print_summary(answer: &Collected, terminal: &Terminal) {
    for tool_use in answer.tool_uses() {
        let arguments = match &tool_use.arguments {
            Some(Arguments::InputJson(json)) => json,
            _ => "…",
        };
        terminal.note(&format!("requests the tool {}: {arguments}", tool_use.name));
    }
    terminal.closing(&closing_line(answer));
}

/// State of the output on the terminal.
struct Page<'a> {
    terminal: &'a Terminal,
    show_reasoning: bool,
    is_waiting: bool,
    is_inside_reasoning: bool,
    has_text: bool,
    ends_in_newline: bool,
}

// === impl Page ===

impl<'a> Page<'a> {
    fn new(terminal: &'a Terminal, show_reasoning: bool) -> Self {
        terminal.show_waiting();
        Self {
            terminal,
            show_reasoning,
            is_waiting: true,
            is_inside_reasoning: false,
            has_text: false,
            ends_in_newline: false,
        }
    }

    fn show(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::ContentBlockDelta(event) => match event.delta.as_ref().and_then(|it| it.delta.as_ref()) {
                Some(Delta::Text(text)) => self.write(text),
                Some(Delta::ReasoningContent(delta)) => {
                    if let Some(Reasoning::Text(text)) = &delta.delta {
                        self.write_reasoning(text);
                    }
                    Ok(())
                }
                _ => Ok(()),
            },
            Event::Route(route) => {
                self.warn_of_unknown_task(Some(route));
                Ok(())
            }
            Event::Restart(restart) => self.start_over(restart.reason()),
            _ => Ok(()),
        }
    }

    fn warn_of_unknown_task(&mut self, route: Option<&pb::Route>) {
        if route.is_some_and(|route| route.resolution() == pb::Resolution::Unknown) {
            self.clear();
            warn_of_unknown_task(route, self.terminal);
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        self.clear();
        if self.is_inside_reasoning {
            self.is_inside_reasoning = false;
            self.terminal.note("");
        }
        self.has_text = true;
        self.ends_in_newline = text.ends_with('\n');
        self.terminal.answer(text)
    }

    fn write_reasoning(&mut self, text: &str) {
        if self.show_reasoning && !text.is_empty() {
            self.clear();
            self.is_inside_reasoning = true;
            self.terminal.aside(text);
        }
    }

    /// Tells a person to disregard the text above. A program that reads a pipe cannot be told, so the command
    /// fails.
    fn start_over(&mut self, reason: pb::ErrorReason) -> Result<(), Failure> {
        if self.has_text && !self.terminal.stdout_is_terminal() {
            return Err(Failure::StartedOver);
        }
        self.end()?;
        let reason = reason_name(reason);
        self.terminal.note(&format!(
            "disregard the text above: the model failed ({reason}), another model starts over"
        ));
        self.has_text = false;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.clear();
        if std::mem::take(&mut self.is_inside_reasoning) {
            self.terminal.note("");
        }
        match self.is_in_line() {
            true => self.write("\n"),
            false => Ok(()),
        }
    }

    fn is_in_line(&self) -> bool {
        self.has_text && !self.ends_in_newline
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            self.terminal.clear_waiting();
        }
    }
}

/// Ends the line if the call failed or was cancelled, so that the next output starts on a new line.
impl Drop for Page<'_> {
    fn drop(&mut self) {
        self.clear();
        if self.is_inside_reasoning || (self.is_in_line() && self.terminal.stdout_is_terminal()) {
            self.terminal.note("");
        }
    }
}
