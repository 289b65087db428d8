//! The log: its JSON format, and the thread that writes its lines.
//!
//! Every call has a line. It is formatted in one pass into a reused buffer and appended to a bounded queue. The writer thread
//! wakes up with the first line, sleeps while others arrive, and writes all of them at once: waking it for each line took a
//! fifteenth of a call's time.
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
use switchboard_server::thread_priority;
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

/// Most bytes in the queue: the lines of some 30,000 calls.
const MAX_QUEUED_BYTES: usize = 16 << 20;
/// Most bytes of buffer capacity that are kept after a write.
const MAX_KEPT_BYTES: usize = 1 << 20;
/// Time for which lines are collected before they are written.
const BATCH_TIME: Duration = Duration::from_millis(10);
/// Time for the last lines at the end, if standard error is not read.
const FINAL_WRITE_TIME: Duration = Duration::from_secs(1);

/// The queue of lines. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogWriter(Arc<Shared>);

/// The writer thread. Dropping it writes the last lines.
#[derive(Debug)]
pub(crate) struct WriterGuard {
    writer: LogWriter,
    ended: Receiver<()>,
}

/// One JSON object per line: the event's fields with time, level and target.
#[derive(Debug)]
pub(crate) struct JsonFormat {
    /// The library's format, for events inside a span or from the `log` crate.
    library: Format<Json>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Lines that did not fit, since the last report of lost lines.
    lost: u64,
    is_closed: bool,
}

// === impl LogWriter ===

impl LogWriter {
    /// Starts to write to `out`. A line that cannot be written is lost: there is nowhere to report that.
    pub(crate) fn new(mut out: impl Write + Send + 'static) -> io::Result<(Self, WriterGuard)> {
        let writer = Self::default();
        let (end, ended) = channel();
        let queue = writer.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            thread_priority::lower();
            let mut bytes = Vec::new();
            while let Some(lost) = queue.take(&mut bytes) {
                let _ = out.write_all(&bytes).and_then(|()| out.flush());
                if lost > 0 {
                    tracing::warn!(
                        lines = lost,
                        "log lines were lost: standard error was not read fast enough"
                    );
                }
            }
            drop(out);
            let _ = end.send(());
        })?;
        Ok((writer.clone(), WriterGuard { writer, ended }))
    }

    /// Waits for lines and takes those of a batch, with the number of lost ones. `None`: the queue is closed and empty.
    fn take(&self, bytes: &mut Vec<u8>) -> Option<u64> {
        bytes.clear();
        bytes.shrink_to(MAX_KEPT_BYTES); // the buffer of a long stall is not kept
        let Shared { changed, .. } = &*self.0;
        let is_idle = |queue: &mut Queue| queue.bytes.is_empty() && !queue.is_closed;
        let queue = changed.wait_while(self.queue(), is_idle).unwrap_or_else(PoisonError::into_inner);
        let batch = changed.wait_timeout_while(queue, BATCH_TIME, |queue| !queue.is_closed);
        let (mut queue, _) = batch.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut queue.bytes, bytes);
        (!bytes.is_empty()).then(|| std::mem::take(&mut queue.lost))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for &LogWriter {
    /// Appends a whole line without waiting. A line that does not fit is lost and counted.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut queue = self.queue();
        if queue.bytes.len() + line.len() > MAX_QUEUED_BYTES {
            queue.lost += 1;
            return Ok(line.len());
        }
        queue.bytes.extend_from_slice(line);
        let is_first = queue.bytes.len() == line.len();
        drop(queue);
        if is_first {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

// === impl WriterGuard ===

impl Drop for WriterGuard {
    fn drop(&mut self) {
        self.writer.queue().is_closed = true;
        self.writer.0.changed.notify_one();
        let _ = self.ended.recv_timeout(FINAL_WRITE_TIME); // a blocked standard error must not delay the exit
    }
}

// === impl JsonFormat ===

impl Default for JsonFormat {
    fn default() -> Self {
        Self { library: Format::default().json().flatten_event(true) }
    }
}

impl<S, N> FormatEvent<S, N> for JsonFormat
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
                format_line(&mut line, event).map_err(|_| fmt::Error)?;
                writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
            }
            // Also for a field whose formatting writes another event.
            _ => self.library.format_event(context, writer, event),
        })
    }
}

fn format_line(line: &mut Vec<u8>, event: &Event<'_>) -> serde_json::Result<()> {
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

    /// Sends what is written to the test.
    struct Output(Sender<Vec<u8>>);

    impl Write for Output {
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

    /// The line of an event in our format and in the library's, without the time.
    fn both(work: impl Fn()) -> [String; 2] {
        let (ours, theirs) = (LogWriter::default(), LogWriter::default());
        let json = layer().json().event_format(JsonFormat::default()).with_writer(ours.clone());
        with_default(registry().with(json), &work);
        let json = layer().json().flatten_event(true).with_writer(theirs.clone());
        with_default(registry().with(json), &work);
        [ours, theirs].map(|lines| {
            let line = String::from_utf8(lines.queue().bytes.clone()).expect("is text");
            let (time, rest) = line.split_once("Z\",").expect("a time");
            assert!(time.starts_with("{\"timestamp\":\"2"), "{time}");
            rest.to_owned()
        })
    }

    #[test]
    fn the_format_equals_the_librarys() {
        let [ours, theirs] = both(event);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn events_inside_a_span_name_the_span() {
        let [ours, theirs] = both(|| tracing::info_span!("outer", depth = 1).in_scope(event));
        assert_eq!(ours, theirs);
        assert!(ours.contains("outer"), "{ours}");
    }

    #[test]
    fn all_lines_are_written_before_the_guard_is_dropped() {
        let (output, written) = channel();
        let (lines, writing) = LogWriter::new(Output(output)).expect("starts");
        for _ in 0..1000 {
            (&lines).write_all(b"a line\n").expect("takes it");
        }
        drop(writing);
        let written: Vec<u8> = written.try_iter().flatten().collect();
        assert_eq!(written, b"a line\n".repeat(1000));
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_nothing_waits() {
        let lines = LogWriter::default();
        let line = vec![b'x'; MAX_QUEUED_BYTES / 2];
        for _ in 0..5 {
            (&lines).write_all(&line).expect("takes it");
        }
        let mut bytes = Vec::new();
        assert_eq!(lines.take(&mut bytes), Some(3));
        assert_eq!(bytes.len(), MAX_QUEUED_BYTES);
    }

    #[test]
    fn without_lines_nothing_is_written() {
        let (output, written) = channel();
        let (lines, writing) = LogWriter::new(Output(output)).expect("starts");
        drop(writing);
        assert_eq!(written.try_recv(), Err(TryRecvError::Disconnected));
        (&lines).write_all(b"too late\n").expect("takes it");
    }
}
