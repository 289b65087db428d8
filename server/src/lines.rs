//! Lines of the log: how they are written down, and the thread that writes them out.
//!
//! Every call has a line, so a line is made in one pass into bytes that are there already, and whoever makes it wakes nobody:
//! the thread wakes with the first, sleeps while others come, and writes all of them at once. Waking it for each took
//! a fifteenth of a call's time.
use serde::ser::{SerializeMap as _, Serializer as _};
use std::{
    cell::RefCell,
    fmt,
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};
use switchboard_server::background;
use tracing::{Event, Subscriber};
use tracing_serde::{AsSerde as _, SerdeMapVisitor};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Format, Json, Writer},
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// How much may wait to be written: some 30,000 calls' lines.
const MOST_WAITING: usize = 16 << 20;
/// How much of that room is kept for what comes next.
const MOST_KEPT: usize = 1 << 20;
/// How long lines are gathered before they are written.
const GATHERING: Duration = Duration::from_millis(10);
/// How long the last lines may take at the end, where nobody reads them.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Shared>);

/// The thread that writes them. Dropped, it writes the last ones.
#[derive(Debug)]
pub(crate) struct Writing {
    lines: Lines,
    ended: Receiver<()>,
}

/// JSON, one object a line, with the event's fields beside the time, the level and the target.
#[derive(Debug)]
pub(crate) struct JsonLines {
    /// For events that need more than that: within a span, or from the `log` crate.
    whole: Format<Json>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Lines that there was no room for, and that nobody was told of yet.
    lost: u64,
    is_over: bool,
}

// === impl Lines ===

impl Lines {
    /// Begins to write to `out`. A line that cannot be written is lost: there is nowhere left to say so.
    pub(crate) fn to(mut out: impl Write + Send + 'static) -> io::Result<(Self, Writing)> {
        let lines = Self::default();
        let (end, ended) = channel();
        let taken = lines.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            background::step_back();
            let mut bytes = Vec::new();
            while let Some(lost) = taken.take(&mut bytes) {
                let _ = out.write_all(&bytes).and_then(|()| out.flush());
                if lost > 0 {
                    tracing::warn!(
                        lines = lost,
                        "lines of the log were lost: whoever reads it did not keep up"
                    );
                }
            }
            drop(out);
            let _ = end.send(());
        })?;
        Ok((lines.clone(), Writing { lines, ended }))
    }

    /// Waits for lines, and takes what has come in a while with how many were lost. `None`: it is over.
    fn take(&self, bytes: &mut Vec<u8>) -> Option<u64> {
        bytes.clear();
        bytes.shrink_to(MOST_KEPT); // what a stall has gathered is not kept for ever
        let Shared { changed, .. } = &*self.0;
        let none_yet = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.is_over;
        let waiting = changed.wait_while(self.waiting(), none_yet).unwrap_or_else(PoisonError::into_inner);
        let gathering = changed.wait_timeout_while(waiting, GATHERING, |waiting| !waiting.is_over);
        let (mut waiting, _) = gathering.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.bytes, bytes);
        (!bytes.is_empty()).then(|| std::mem::take(&mut waiting.lost))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for &Lines {
    /// A whole line, which never waits: one that there is no room for is lost, and counted.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting();
        if waiting.bytes.len() + line.len() > MOST_WAITING {
            waiting.lost += 1;
            return Ok(line.len());
        }
        waiting.bytes.extend_from_slice(line);
        let is_first = waiting.bytes.len() == line.len();
        drop(waiting);
        if is_first {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

// === impl Writing ===

impl Drop for Writing {
    fn drop(&mut self) {
        self.lines.waiting().is_over = true;
        self.lines.0.changed.notify_one();
        let _ = self.ended.recv_timeout(LAST_LINES); // whoever holds standard error back does not hold the exit
    }
}

// === impl JsonLines ===

impl Default for JsonLines {
    fn default() -> Self {
        Self { whole: Format::default().json().flatten_event(true) }
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let is_plain = event.metadata().target() != "log"
            && event.parent().is_none()
            && context.lookup_current().is_none();
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) if is_plain => {
                line.clear();
                put(&mut line, event).map_err(|_| fmt::Error)?;
                writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
            }
            // A field that logs as it is written down is among those who need more.
            _ => self.whole.format_event(context, writer, event),
        })
    }
}

fn put(line: &mut Vec<u8>, event: &Event<'_>) -> serde_json::Result<()> {
    let metadata = event.metadata();
    let mut time = String::with_capacity(32);
    SystemTime.format_time(&mut Writer::new(&mut time)).map_err(serde::ser::Error::custom)?;
    let mut json = serde_json::Serializer::new(&mut *line);
    let mut object = json.serialize_map(None)?;
    object.serialize_entry("timestamp", &time)?;
    object.serialize_entry("level", &metadata.level().as_serde())?;
    let mut fields = SerdeMapVisitor::new(object);
    event.record(&mut fields);
    let mut object = fields.take_serializer()?;
    object.serialize_entry("target", metadata.target())?;
    object.end()?;
    line.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, TryRecvError};
    use tracing::subscriber::with_default;
    use tracing_subscriber::{fmt::layer, layer::SubscriberExt as _, registry};

    /// Hands over what is written.
    struct Heard(Sender<Vec<u8>>);

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn event() {
        tracing::warn!(text = "a \"quote\"\nand a line", number = -3, half = 0.5, truth = true, none = None::<&str>, error = %io::Error::other("why"), "told");
    }

    /// The same event as we write it and as the library does, without the time.
    fn both(work: impl Fn()) -> [String; 2] {
        let (ours, theirs) = (Lines::default(), Lines::default());
        let json = layer().json().event_format(JsonLines::default()).with_writer(ours.clone());
        with_default(registry().with(json), &work);
        let json = layer().json().flatten_event(true).with_writer(theirs.clone());
        with_default(registry().with(json), &work);
        [ours, theirs].map(|lines| {
            let line = String::from_utf8(lines.waiting().bytes.clone()).expect("is text");
            let (time, rest) = line.split_once("Z\",").expect("a time");
            assert!(time.starts_with("{\"timestamp\":\"2"), "{time}");
            rest.to_owned()
        })
    }

    #[test]
    fn a_line_is_what_the_library_would_write() {
        let [ours, theirs] = both(event);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn what_happens_within_a_span_says_so() {
        let [ours, theirs] = both(|| tracing::info_span!("outer", depth = 1).in_scope(event));
        assert_eq!(ours, theirs);
        assert!(ours.contains("outer"), "{ours}");
    }

    #[test]
    fn everything_is_written_before_the_end() {
        let (heard, written) = channel();
        let (lines, writing) = Lines::to(Heard(heard)).expect("starts");
        for _ in 0..1000 {
            (&lines).write_all(b"a line\n").expect("takes it");
        }
        drop(writing);
        let written: Vec<u8> = written.try_iter().flatten().collect();
        assert_eq!(written, b"a line\n".repeat(1000));
    }

    #[test]
    fn whoever_reads_slowly_holds_nobody_back_and_is_told_what_is_missing() {
        let lines = Lines::default();
        let line = vec![b'x'; MOST_WAITING / 2];
        for _ in 0..5 {
            (&lines).write_all(&line).expect("takes it");
        }
        let mut bytes = Vec::new();
        assert_eq!(lines.take(&mut bytes), Some(3));
        assert_eq!(bytes.len(), MOST_WAITING);
    }

    #[test]
    fn without_lines_nothing_is_written() {
        let (heard, written) = channel();
        let (lines, writing) = Lines::to(Heard(heard)).expect("starts");
        drop(writing);
        assert_eq!(written.try_recv(), Err(TryRecvError::Disconnected));
        (&lines).write_all(b"too late\n").expect("takes it");
    }
}
