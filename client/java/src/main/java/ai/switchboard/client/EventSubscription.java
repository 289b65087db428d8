package ai.switchboard.client;

import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.ConverseStreamResponse;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.Flow;

/** A stream that its subscriber pulls: what is not asked for is not read from the connection. */
final class EventSubscription extends ClientCall.Listener<ConverseStreamResponse> implements Flow.Subscription {
  private final ClientCall<ConverseRequest, ConverseStreamResponse> call;
  private final Flow.Subscriber<? super ConverseStreamResponse> subscriber;
  private final String address;
  private boolean isWhole;

  /** Asked for before the call began. */
  private long early;

  private boolean hasBegun;
  private boolean isOver;

  EventSubscription(
      ClientCall<ConverseRequest, ConverseStreamResponse> call,
      Flow.Subscriber<? super ConverseStreamResponse> subscriber,
      String address) {
    this.call = call;
    this.subscriber = subscriber;
    this.address = address;
  }

  void begin(ConverseRequest request) {
    subscriber.onSubscribe(this);
    synchronized (this) {
      if (isOver) {
        return;
      }
      call.start(this, new Metadata());
      hasBegun = true;
      pull(early);
      call.sendMessage(request);
      call.halfClose();
    }
  }

  @Override
  public void request(long count) {
    if (count <= 0) {
      if (end("a demand below 1")) {
        subscriber.onError(new IllegalArgumentException("a demand of " + count + ": it must be at least 1"));
      }
      return;
    }
    synchronized (this) {
      if (hasBegun) {
        pull(count);
      } else {
        early = early + count < 0 ? Long.MAX_VALUE : early + count;
      }
    }
  }

  @Override
  public void cancel() {
    end("the subscription was cancelled");
  }

  @Override
  public void onMessage(ConverseStreamResponse event) {
    synchronized (this) {
      if (isOver) {
        return;
      }
      isWhole |= event.hasMetadata();
    }
    subscriber.onNext(event);
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    if (!end()) {
      return;
    }
    if (!status.isOk()) {
      subscriber.onError(SwitchboardException.of(address, status.asRuntimeException(trailers)));
    } else if (!isWhole) {
      subscriber.onError(SwitchboardException.incomplete());
    } else {
      subscriber.onComplete();
    }
  }

  private synchronized boolean end(String why) {
    boolean wasRunning = end();
    if (wasRunning) {
      call.cancel(why, null);
    }
    return wasRunning;
  }

  /** Nothing is told to the subscriber after this; false: it was over before. */
  private synchronized boolean end() {
    boolean wasRunning = !isOver;
    isOver = true;
    return wasRunning;
  }

  private void pull(long count) {
    if (count > 0) {
      call.request((int) Math.min(count, Integer.MAX_VALUE));
    }
  }
}
