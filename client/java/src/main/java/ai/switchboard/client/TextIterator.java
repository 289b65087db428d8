package ai.switchboard.client;

import ai.switchboard.v1.ConverseStreamResponse;
import java.util.Iterator;
import java.util.NoSuchElementException;

/** Text of a streamed answer; see {@link EventStream#text}. */
final class TextIterator implements Iterator<String> {
  private final EventStream events;
  private String text = "";
  private boolean hasText;

  TextIterator(EventStream events) {
    this.events = events;
  }

  @Override
  public boolean hasNext() {
    while (text.isEmpty() && events.hasNext()) {
      ConverseStreamResponse event = events.next();
      if (event.hasRestart() && hasText) {
        events.close();
        throw SwitchboardException.restarted(event.getRestart().getReason());
      }
      text = event.getContentBlockDelta().getDelta().getText();
    }
    return !text.isEmpty();
  }

  @Override
  public String next() {
    if (!hasNext()) {
      throw new NoSuchElementException("no more text");
    }
    String next = text;
    text = "";
    hasText = true;
    return next;
  }
}
