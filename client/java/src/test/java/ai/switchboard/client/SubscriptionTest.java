package ai.switchboard.client;

import static ai.switchboard.client.Requests.ask;
import static ai.switchboard.client.Words.metadata;
import static ai.switchboard.client.Words.text;
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

/** A subscriber is told what {@link Flow} promises. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
class SubscriptionTest {
  @Test
  void events_come_as_they_are_asked_for() throws InterruptedException {
    try (Fake fake = Fake.streaming(text(0, "a"), text(0, "b"), metadata());
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      Told told = new Told(subscription -> subscription.request(2));
      switchboard.async().stream(ask("", "Hi")).subscribe(told);

      assertEquals(text(0, "a"), told.next());
      assertEquals(text(0, "b"), told.next());
      assertTrue(told.signals.isEmpty(), "nobody asked for more");
      told.subscription.request(Long.MAX_VALUE);
      assertEquals(metadata(), told.next());
      assertEquals("complete", told.next());
    }
  }

  @Test
  void a_stream_that_breaks_off_is_an_error() throws InterruptedException {
    Consumer<Flow.Subscription> all = subscription -> subscription.request(Long.MAX_VALUE);
    Told told = new Told(all);
    try (Fake fake = Fake.streaming(text(0, "Half an ans"));
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      switchboard.async().stream(ask("", "Hi")).subscribe(told);

      told.next();
      assertEquals(ErrorKind.INCOMPLETE, assertInstanceOf(SwitchboardException.class, told.next()).kind());
    }
    try (Fake fake = Fake.failing(Fake.status(Status.Code.INTERNAL, "no"));
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      switchboard.async().stream(ask("", "Hi")).subscribe(told);

      var failure = assertInstanceOf(SwitchboardException.class, told.next());
      assertEquals(Status.Code.INTERNAL, failure.code());
    }
  }

  @Test
  void who_cancels_at_once_never_asks() throws InterruptedException {
    try (Fake fake = Fake.streaming(metadata());
        Switchboard switchboard = Switchboard.connect(fake.address())) {
      Told cancelling = new Told(Flow.Subscription::cancel);
      switchboard.async().stream(ask("", "Hi")).subscribe(cancelling);
      Told asking = new Told(subscription -> subscription.request(0));
      switchboard.async().stream(ask("", "Hi")).subscribe(asking);

      assertInstanceOf(IllegalArgumentException.class, asking.next());
      assertEquals(List.of(), List.copyOf(cancelling.signals));
      assertEquals(0, fake.asked());
    }
  }

  /** Keeps what a subscriber is told, in order. */
  private static final class Told implements Flow.Subscriber<ConverseStreamResponse> {
    final BlockingQueue<Object> signals = new LinkedBlockingQueue<>();
    final Consumer<Flow.Subscription> begin;
    volatile Flow.Subscription subscription;

    Told(Consumer<Flow.Subscription> begin) {
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
