//! The log: its JSON format, and the thread that writes its lines.
//!
//! Every call has a line. It is formatted in one pass into a reused buffer and added to a bounded queue,
//! whose thread writes many lines at once.
use serde::ser::{SerializeMap as _, Serializer as _};
use std::{
    cell::RefCell,
    fmt,
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use switchboard_server::batch_queue::{BatchQueue, BatchThread};
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

/// Adds whole lines to the queue. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter(BatchQueue<Vec<u8>>);

/// Writes the last lines when it is dropped.
#[derive(Debug)]
pub(crate) struct WriterGuard(Option<BatchThread<Vec<u8>>>);

/// One JSON object per line: the event's fields with time, level and target.
#[derive(Debug)]
pub(crate) struct JsonFormat {
    /// The library's format, for events inside a span or from the `log` crate.
    library: Format<Json>,
}

// === impl LogWriter ===

impl LogWriter {
    /// Starts to write to `out`. A line that cannot be written is lost: there is nowhere to report that.
    pub(crate) fn new(mut out: impl Write + Send + 'static) -> io::Result<(Self, WriterGuard)> {
        let mut reported = 0;
        let (queue, thread) =
            BatchQueue::start("log", BATCH_TIME, move |bytes: &mut Vec<u8>, lost: &AtomicU64| {
                let _ = out.write_all(bytes).and_then(|()| out.flush());
                bytes.clear();
                bytes.shrink_to(MAX_KEPT_BYTES); // the buffer of a long stall is not kept
                let lost = lost.load(Relaxed);
                if lost > reported {
                    let lines = lost - reported;
                    tracing::warn!(lines, "log lines were lost: standard error was not read fast enough");
                    reported = lost;
                }
            })?;
        Ok((Self(queue), WriterGuard(Some(thread))))
    }
}

impl Write for &LogWriter {
    /// Adds a whole line without waiting. A line that does not fit is lost and counted.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line.len(), MAX_QUEUED_BYTES, |bytes| bytes.extend_from_slice(line));
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
        // A standard error that is not read must not delay the exit.
        let _ = self.0.take().is_none_or(|thread| thread.finish(FINAL_WRITE_TIME));
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
    use parking_lot::Mutex;
    use std::sync::Arc;
    use tracing::subscriber::with_default;
    use tracing_subscriber::{fmt::layer, layer::SubscriberExt as _, registry};

    /// What was written, for the test.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
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
        let outputs = [Output::default(), Output::default()];
        let [(ours, our_guard), (theirs, their_guard)] =
            outputs.clone().map(|output| LogWriter::new(output).expect("starts"));
        let json = layer().json().event_format(JsonFormat::default()).with_writer(ours);
        with_default(registry().with(json), &work);
        let json = layer().json().flatten_event(true).with_writer(theirs);
        with_default(registry().with(json), &work);
        drop((our_guard, their_guard));
        outputs.map(|output| {
            let line = String::from_utf8(output.0.lock().clone()).expect("is text");
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
        let output = Output::default();
        let (lines, guard) = LogWriter::new(output.clone()).expect("starts");
        for _ in 0..1000 {
            (&lines).write_all(b"a line\n").expect("takes it");
        }
        drop(guard);
        (&lines).write_all(b"too late\n").expect("takes it");
        assert_eq!(*output.0.lock(), b"a line\n".repeat(1000));
    }

    #[test]
    fn lines_that_do_not_fit_are_counted() {
        let output = Output::default();
        let held = output.0.lock(); // the thread cannot write
        let (lines, guard) = LogWriter::new(output.clone()).expect("starts");
        let line = vec![b'x'; MAX_QUEUED_BYTES];
        for _ in 0..5 {
            (&lines).write_all(&line).expect("takes it");
        }
        assert!((3..=4).contains(&lines.0.lost()), "one batch may have been taken");
        drop(held);
        drop(guard);
    }
}
