package ai.switchboard.client;

import static ai.switchboard.client.Requests.ask;
import static ai.switchboard.client.Events.metadata;
import static ai.switchboard.client.Events.text;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.switchboard.v1.ConverseStreamResponse;
import io.grpc.Status;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;

/** Subscribers receive signals as {@link Flow} specifies. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class SubscriptionTest {
  @Test
  void sends_only_requested_events() throws InterruptedException {
    try (Fake fake = Fake.streaming(text(0, "a"), text(0, "b"), metadata());
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      Recorder recorder = new Recorder(subscription -> subscription.request(2));
      switchboard.async().stream(ask("", "Hi")).subscribe(recorder);

      assertEquals(text(0, "a"), recorder.next());
      assertEquals(text(0, "b"), recorder.next());
      assertTrue(recorder.signals.isEmpty(), "no more events were requested");
      recorder.subscription.request(Long.MAX_VALUE);
      assertEquals(metadata(), recorder.next());
      assertEquals("complete", recorder.next());
    }
  }

  @Test
  void a_broken_stream_is_an_error() throws InterruptedException {
    Consumer<Flow.Subscription> all = subscription -> subscription.request(Long.MAX_VALUE);
    Recorder recorder = new Recorder(all);
    try (Fake fake = Fake.streaming(text(0, "Half an ans"));
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      switchboard.async().stream(ask("", "Hi")).subscribe(recorder);

      recorder.next();
      assertEquals(ErrorKind.INCOMPLETE, assertInstanceOf(SwitchboardException.class, recorder.next()).kind());
    }
    try (Fake fake = Fake.failing(Fake.status(Status.Code.INTERNAL, "no"));
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      switchboard.async().stream(ask("", "Hi")).subscribe(recorder);

      var failure = assertInstanceOf(SwitchboardException.class, recorder.next());
      assertEquals(Status.Code.INTERNAL, failure.code());
    }
  }

  @Test
  void a_subscriber_that_cancels_at_once_makes_no_call() throws InterruptedException {
    try (Fake fake = Fake.streaming(metadata());
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      Recorder cancelling = new Recorder(Flow.Subscription::cancel);
      switchboard.async().stream(ask("", "Hi")).subscribe(cancelling);
      Recorder invalid = new Recorder(subscription -> subscription.request(0));
      switchboard.async().stream(ask("", "Hi")).subscribe(invalid);

      assertInstanceOf(IllegalArgumentException.class, invalid.next());
      assertEquals(List.of(), List.copyOf(cancelling.signals));
      assertEquals(0, fake.calls());
    }
  }

  /** Records the signals of a subscription. */
  private static final class Recorder implements Flow.Subscriber<ConverseStreamResponse> {
    final BlockingQueue<Object> signals = new LinkedBlockingQueue<>();
    final Consumer<Flow.Subscription> begin;
    volatile Flow.Subscription subscription;

    Recorder(Consumer<Flow.Subscription> begin) {
      this.begin = begin;
    }

    Object next() throws InterruptedException {
      Object signal = signals.poll(Stage.BOUND.toSeconds(), TimeUnit.SECONDS);
      return signal == null ? "nothing" : signal;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      this.subscription = subscription;
      begin.accept(subscription);
    }

    @Override
    public void onNext(ConverseStreamResponse event) {
      signals.add(event);
    }

    @Override
    public void onError(Throwable failure) {
      signals.add(failure);
    }

    @Override
    public void onComplete() {
      signals.add("complete");
    }
  }
}
