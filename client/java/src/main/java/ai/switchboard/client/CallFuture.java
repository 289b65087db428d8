package ai.switchboard.client;

import io.grpc.ClientCall;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/** Future of the answer of a call. Cancelling it cancels the call. */
final class CallFuture<T> extends CompletableFuture<T> {
  private final ClientCall<?, ?> call;
  private final String address;

  CallFuture(ClientCall<?, ?> call, String address) {
    this.call = call;
    this.address = address;
  }

  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    boolean cancelled = super.cancel(mayInterruptIfRunning);
    if (cancelled) {
      call.cancel("the future was cancelled", null);
    }
    return cancelled;
  }

  /** Returns an observer that completes this future with a value from the response. */
  <R> StreamObserver<R> observer(Function<R, T> read) {
    return new StreamObserver<>() {
      @Override
      public void onNext(R response) {
        complete(read.apply(response));
      }

      @Override
      public void onError(Throwable failure) {
        completeExceptionally(SwitchboardException.of(address, failure));
      }

      @Override
      public void onCompleted() {}
    };
  }
}
