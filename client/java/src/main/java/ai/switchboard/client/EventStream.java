package ai.switchboard.client;

import ai.switchboard.v1.ConverseStreamResponse;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Events of a streamed answer, in order: the route is the first, the metadata the last. Closing the stream
 * before its end cancels the call, also at Bedrock.
 *
 * <p>At most one event is buffered: HTTP/2 flow control connects the reader with the model. A stream that
 * ends without metadata ends with an exception, because the answer is incomplete. Only one thread may read;
 * any thread may close.
 */
public final class EventStream implements Iterator<ConverseStreamResponse>, AutoCloseable {
  private final Iterator<ConverseStreamResponse> replies;
  private final Context.CancellableContext context;
  private final String address;
  private boolean isComplete;
  private boolean hasEnded;
  private SwitchboardException failure;

  EventStream(Iterator<ConverseStreamResponse> replies, Context.CancellableContext context, String address) {
    this.replies = replies;
    this.context = context;
    this.address = address;
  }

  /** Waits for the next event. Returns false after the last one. */
  @Override
  public boolean hasNext() {
    if (hasEnded) {
      return rethrowOrEnd();
    }
    if (context.isCancelled()) {
      return end(SwitchboardException.cancelled()); // events that arrived before are discarded
    }
    try {
      return replies.hasNext() || end(isComplete ? null : SwitchboardException.incomplete());
    } catch (StatusRuntimeException ended) {
      return end(failed(ended));
    }
  }

  @Override
  public ConverseStreamResponse next() {
    if (!hasNext()) {
      throw new NoSuchElementException("no more events");
    }
    ConverseStreamResponse event = replies.next();
    isComplete |= event.hasMetadata();
    return event;
  }

  /** Returns the events as a {@link Stream}. Closing it closes this stream. */
  public Stream<ConverseStreamResponse> events() {
    int ordered = Spliterator.ORDERED | Spliterator.NONNULL;
    var spliterator = Spliterators.spliteratorUnknownSize(this, ordered);
    return StreamSupport.stream(spliterator, false).onClose(this::close);
  }

  /**
   * Returns only the text, for one iteration. If another model starts over after text was returned, it throws
   * an exception of the kind {@link ErrorKind#RESTARTED}, because the text cannot be taken back: for tasks
   * that allow restarts, read the events.
   */
  public Iterable<String> text() {
    return () -> new TextIterator(this);
  }

  /** Reads to the end and assembles the complete answer. */
  public Collected collectMessage() {
    Collector collector = new Collector();
    forEachRemaining(collector::push);
    return collector.finish();
  }

  @Override
  public void close() {
    context.cancel(null);
  }

  private SwitchboardException failed(StatusRuntimeException ended) {
    boolean byContext = context.isCancelled() && ended.getStatus().getCode() == Status.Code.CANCELLED;
    return byContext ? SwitchboardException.cancelled() : SwitchboardException.of(address, ended);
  }

  private boolean end(SwitchboardException failure) {
    this.hasEnded = true;
    this.failure = failure;
    context.cancel(null);
    return rethrowOrEnd();
  }

  private boolean rethrowOrEnd() {
    if (failure != null) {
      throw failure;
    }
    return false;
  }
}
