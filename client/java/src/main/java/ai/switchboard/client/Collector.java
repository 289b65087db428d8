package ai.switchboard.client;

import ai.switchboard.v1.ContentBlockDeltaEvent;
import ai.switchboard.v1.ConverseResponse;
import ai.switchboard.v1.ConverseStreamMetadataEvent;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.Message;
import ai.switchboard.v1.MessageStopEvent;
import com.google.protobuf.Descriptors.FieldDescriptor;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/**
 * Collects a stream while something else reads along: {@link #push} every event, then {@link #finish}.
 *
 * <p>The index of a piece says which block it belongs to; pieces of several blocks may come in turns, and blocks of text and
 * reasoning begin without a start event.
 */
public final class Collector {
  private final TreeMap<Integer, OpenBlock> blocks = new TreeMap<>();
  private final List<ConverseStreamResponse> unplaced = new ArrayList<>();
  private ConverseResponse.Builder response = ConverseResponse.newBuilder();
  private String role = "";
  private boolean isWhole;

  /** Takes the next event in. After a restart it forgets what it had. */
  public void push(ConverseStreamResponse event) {
    switch (event.getEventCase()) {
      case ROUTE -> response.setRoute(event.getRoute());
      case MESSAGE_START -> role = event.getMessageStart().getRole();
      case CONTENT_BLOCK_START -> {
        var start = event.getContentBlockStart();
        OpenBlock.begin(start.getStart()).ifPresent(block -> blocks.put(start.getContentBlockIndex(), block));
      }
      case CONTENT_BLOCK_DELTA -> append(event, event.getContentBlockDelta());
      case CONTENT_BLOCK_STOP -> {} // Bedrock has been seen to forget it, so nothing waits for it
      case MESSAGE_STOP -> take(event.getMessageStop());
      case RESTART -> forget();
      case METADATA -> take(event.getMetadata());
      case UNKNOWN, EVENT_NOT_SET -> unplaced.add(event);
    }
  }

  /** The answer; an exception of the kind {@link ErrorKind#INCOMPLETE} if its metadata never came. */
  public Collected finish() {
    if (!isWhole) {
      throw SwitchboardException.incomplete();
    }
    Message.Builder message = Message.newBuilder().setRole(role.isEmpty() ? "assistant" : role);
    blocks.values().forEach(block -> message.addAllContent(block.close()));
    ConverseResponse.Builder whole = response.clone();
    whole.getOutputBuilder().setMessage(message);
    return new Collected(whole.build(), List.copyOf(unplaced));
  }

  private void append(ConverseStreamResponse event, ContentBlockDeltaEvent piece) {
    int index = piece.getContentBlockIndex();
    OpenBlock block = blocks.get(index);
    if (block == null) {
      block = OpenBlock.beginWith(piece.getDelta()).orElse(null);
    }
    if (block == null || !block.append(piece.getDelta())) {
      unplaced.add(event);
      return;
    }
    blocks.put(index, block);
  }

  private void take(MessageStopEvent stop) {
    response.setStopReasonValue(stop.getStopReasonValue()).setRawStopReason(stop.getRawStopReason());
    if (stop.hasAdditionalModelResponseFieldsJson()) {
      response.setAdditionalModelResponseFieldsJson(stop.getAdditionalModelResponseFieldsJson());
    }
  }

  private void take(ConverseStreamMetadataEvent metadata) {
    isWhole = true;
    // A whole answer has each of its fields under the same name.
    metadata.getAllFields().forEach((field, value) -> {
      FieldDescriptor same = ConverseResponse.getDescriptor().findFieldByName(field.getName());
      if (same != null) {
        response.setField(same, value);
      }
    });
  }

  private void forget() {
    blocks.clear();
    unplaced.clear();
    response = ConverseResponse.newBuilder();
    role = "";
    isWhole = false;
  }
}
