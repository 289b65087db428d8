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
 * The events of an answer, in order: the route first, the metadata last. Closing it before its end cancels the call, at
 * Bedrock too.
 *
 * <p>No more than one event waits here: HTTP/2 flow control reaches from its reader to the model. A stream that just ends,
 * without its metadata, ends with an exception: the answer is not whole. One thread reads; any may close.
 */
public final class EventStream implements Iterator<ConverseStreamResponse>, AutoCloseable {
  private final Iterator<ConverseStreamResponse> replies;
  private final Context.CancellableContext context;
  private final String address;
  private boolean isWhole;
  private boolean isOver;
  private SwitchboardException failure;

  EventStream(Iterator<ConverseStreamResponse> replies, Context.CancellableContext context, String address) {
    this.replies = replies;
    this.context = context;
    this.address = address;
  }

  /** Waits for the next event; false after the last. */
  @Override
  public boolean hasNext() {
    if (isOver) {
      return rethrowOrEnd();
    }
    if (context.isCancelled()) {
      return end(SwitchboardException.cancelled()); // what had arrived before is not wanted any more
    }
    try {
      return replies.hasNext() || end(isWhole ? null : SwitchboardException.incomplete());
    } catch (StatusRuntimeException ended) {
      return end(failed(ended));
    }
  }

  @Override
  public ConverseStreamResponse next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the answer is over");
    }
    ConverseStreamResponse event = replies.next();
    isWhole |= event.hasMetadata();
    return event;
  }

  /** The same events as a {@link Stream}, whose closing closes this. */
  public Stream<ConverseStreamResponse> events() {
    int ordered = Spliterator.ORDERED | Spliterator.NONNULL;
    var spliterator = Spliterators.spliteratorUnknownSize(this, ordered);
    return StreamSupport.stream(spliterator, false).onClose(this::close);
  }

  /**
   * Only the words, piece by piece, to be looped over once. Where another model starts over after some were given out, they
   * end with an exception of the kind {@link ErrorKind#RESTARTED}, since words cannot be taken back: read events for such
   * tasks.
   */
  public Iterable<String> text() {
    return () -> new TextIterator(this);
  }

  /** Reads to the end and puts the pieces together. */
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
    this.isOver = true;
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
