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
 * Assembles an answer while the caller processes the events: {@link #push} every event, then {@link #finish}.
 *
 * <p>The index of a delta identifies its block. Deltas of different blocks can be interleaved, and text and
 * reasoning blocks start without a start event.
 */
public final class Collector {
  private final TreeMap<Integer, OpenBlock> blocks = new TreeMap<>();
  private final List<ConverseStreamResponse> unplaced = new ArrayList<>();
  private ConverseResponse.Builder response = ConverseResponse.newBuilder();
  private String role = "";
  private boolean isComplete;

  /** Adds the next event. A restart event discards everything before it. */
  public void push(ConverseStreamResponse event) {
    switch (event.getEventCase()) {
      case ROUTE -> response.setRoute(event.getRoute());
      case MESSAGE_START -> role = event.getMessageStart().getRole();
      case CONTENT_BLOCK_START -> {
        var start = event.getContentBlockStart();
        OpenBlock.of(start.getStart()).ifPresent(block -> blocks.put(start.getContentBlockIndex(), block));
      }
      case CONTENT_BLOCK_DELTA -> append(event, event.getContentBlockDelta());
      case CONTENT_BLOCK_STOP -> {} // not relied on: Bedrock sometimes omits it
      case MESSAGE_STOP -> take(event.getMessageStop());
      case RESTART -> reset();
      case METADATA -> take(event.getMetadata());
      case UNKNOWN, EVENT_NOT_SET -> unplaced.add(event);
    }
  }

  /**
   * Returns the answer. Throws an exception of the kind {@link ErrorKind#INCOMPLETE} if the metadata is
   * missing.
   */
  public Collected finish() {
    if (!isComplete) {
      throw SwitchboardException.incomplete();
    }
    Message.Builder message = Message.newBuilder().setRole(role.isEmpty() ? "assistant" : role);
    blocks.values().forEach(block -> message.addAllContent(block.close()));
    ConverseResponse.Builder complete = response.clone();
    complete.getOutputBuilder().setMessage(message);
    return new Collected(complete.build(), List.copyOf(unplaced));
  }

  private void append(ConverseStreamResponse event, ContentBlockDeltaEvent delta) {
    int index = delta.getContentBlockIndex();
    OpenBlock block = blocks.get(index);
    if (block == null) {
      block = OpenBlock.startingWith(delta.getDelta()).orElse(null);
    }
    if (block == null || !block.append(delta.getDelta())) {
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
    isComplete = true;
    // ConverseResponse has fields with the same names.
    metadata.getAllFields().forEach((field, value) -> {
      FieldDescriptor same = ConverseResponse.getDescriptor().findFieldByName(field.getName());
      if (same != null) {
        response.setField(same, value);
      }
    });
  }

  private void reset() {
    blocks.clear();
    unplaced.clear();
    response = ConverseResponse.newBuilder();
    role = "";
    isComplete = false;
  }
}
