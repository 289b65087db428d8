package ai.switchboard.client;

import ai.switchboard.v1.ConverseStreamResponse;
import java.util.Iterator;
import java.util.NoSuchElementException;

/** The words of an answer; see {@link EventStream#text}. */
final class TextIterator implements Iterator<String> {
  private final EventStream events;
  private String piece = "";
  private boolean wrote;

  TextIterator(EventStream events) {
    this.events = events;
  }

  @Override
  public boolean hasNext() {
    while (piece.isEmpty() && events.hasNext()) {
      ConverseStreamResponse event = events.next();
      if (event.hasRestart() && wrote) {
        events.close();
        throw SwitchboardException.restarted(event.getRestart().getReason());
      }
      piece = event.getContentBlockDelta().getDelta().getText();
    }
    return !piece.isEmpty();
  }

  @Override
  public String next() {
    if (!hasNext()) {
      throw new NoSuchElementException("the answer is over");
    }
    String next = piece;
    piece = "";
    wrote = true;
    return next;
  }
}
