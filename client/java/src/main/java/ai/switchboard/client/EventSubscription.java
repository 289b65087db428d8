package ai.switchboard.client;

import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.ConverseStreamResponse;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.Flow;

/** Subscription to a stream. Only events that the subscriber requests are read from the connection. */
final class EventSubscription extends ClientCall.Listener<ConverseStreamResponse> implements Flow.Subscription {
  private final ClientCall<ConverseRequest, ConverseStreamResponse> call;
  private final Flow.Subscriber<? super ConverseStreamResponse> subscriber;
  private final String address;
  private boolean isComplete;

  /** Number of events that were requested before the call started. */
  private long requestedEarly;

  private boolean hasStarted;
  private boolean hasEnded;

  EventSubscription(
      ClientCall<ConverseRequest, ConverseStreamResponse> call,
      Flow.Subscriber<? super ConverseStreamResponse> subscriber,
      String address) {
    this.call = call;
    this.subscriber = subscriber;
    this.address = address;
  }

  void start(ConverseRequest request) {
    subscriber.onSubscribe(this);
    synchronized (this) {
      if (hasEnded) {
        return;
      }
      call.start(this, new Metadata());
      hasStarted = true;
      pull(requestedEarly);
      call.sendMessage(request);
      call.halfClose();
    }
  }

  @Override
  public void request(long count) {
    if (count <= 0) {
      if (end("invalid demand")) {
        subscriber.onError(new IllegalArgumentException("demand of " + count + ": must be at least 1"));
      }
      return;
    }
    synchronized (this) {
      if (hasStarted) {
        pull(count);
      } else {
        requestedEarly = requestedEarly + count < 0 ? Long.MAX_VALUE : requestedEarly + count;
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
      if (hasEnded) {
        return;
      }
      isComplete |= event.hasMetadata();
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
    } else if (!isComplete) {
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

  /** Ends the subscription: the subscriber is not called again. Returns false if it had ended before. */
  private synchronized boolean end() {
    boolean wasRunning = !hasEnded;
    hasEnded = true;
    return wasRunning;
  }

  private void pull(long count) {
    if (count > 0) {
      call.request((int) Math.min(count, Integer.MAX_VALUE));
    }
  }
}
