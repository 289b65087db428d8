package ai.switchboard.client;

import ai.switchboard.v1.CitationSourceContentDelta;
import ai.switchboard.v1.CitationsDelta;
import ai.switchboard.v1.ContentBlockDelta;
import ai.switchboard.v1.ContentBlockStart;
import ai.switchboard.v1.ConverseStreamMetadataEvent;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.ErrorReason;
import ai.switchboard.v1.ImageBlockDelta;
import ai.switchboard.v1.MessageStopEvent;
import ai.switchboard.v1.ReasoningContentBlockDelta;
import ai.switchboard.v1.RestartEvent;
import ai.switchboard.v1.Route;
import ai.switchboard.v1.StopReason;
import ai.switchboard.v1.TokenUsage;
import ai.switchboard.v1.ToolResultBlockDelta;
import ai.switchboard.v1.ToolResultDelta;
import com.google.protobuf.ByteString;
import java.util.Arrays;

/** Short constructors of events. */
final class Events {
  private Events() {}

  static ConverseStreamResponse route(String model) {
    return ConverseStreamResponse.newBuilder().setRoute(Route.newBuilder().setModelId(model)).build();
  }

  static ConverseStreamResponse toolStart(int index, String id, String name) {
    ContentBlockStart.Builder start = ContentBlockStart.newBuilder();
    start.getToolUseBuilder().setToolUseId(id).setName(name);
    return start(index, start);
  }

  static ConverseStreamResponse resultStart(int index, String id) {
    ContentBlockStart.Builder start = ContentBlockStart.newBuilder();
    start.getToolResultBuilder().setToolUseId(id).setStatus("success");
    return start(index, start);
  }

  static ConverseStreamResponse imageStart(int index) {
    ContentBlockStart.Builder start = ContentBlockStart.newBuilder();
    start.getImageBuilder().setFormat("png");
    return start(index, start);
  }

  static ConverseStreamResponse unknownStart(int index, String json) {
    return start(index, ContentBlockStart.newBuilder().setUnknownJson(json));
  }

  static ConverseStreamResponse text(int index, String text) {
    return delta(index, ContentBlockDelta.newBuilder().setText(text));
  }

  static ConverseStreamResponse input(int index, String part) {
    ContentBlockDelta.Builder delta = ContentBlockDelta.newBuilder();
    delta.getToolUseBuilder().setInput(part);
    return delta(index, delta);
  }

  static ConverseStreamResponse result(int index, ToolResultBlockDelta... parts) {
    ToolResultDelta result = ToolResultDelta.newBuilder().addAllBlocks(Arrays.asList(parts)).build();
    return delta(index, ContentBlockDelta.newBuilder().setToolResult(result));
  }

  static ToolResultBlockDelta part(String text) {
    return ToolResultBlockDelta.newBuilder().setText(text).build();
  }

  static ToolResultBlockDelta json(String json) {
    return ToolResultBlockDelta.newBuilder().setJsonText(json).build();
  }

  static ConverseStreamResponse thought(int index, String text) {
    return reasoning(index, ReasoningContentBlockDelta.newBuilder().setText(text));
  }

  static ConverseStreamResponse signature(int index, String signature) {
    return reasoning(index, ReasoningContentBlockDelta.newBuilder().setSignature(signature));
  }

  static ConverseStreamResponse redacted(int index, String bytes) {
    return reasoning(index, ReasoningContentBlockDelta.newBuilder().setRedactedContent(ByteString.copyFromUtf8(bytes)));
  }

  static ConverseStreamResponse cited(int index, String title) {
    CitationsDelta.Builder citation = CitationsDelta.newBuilder().setTitle(title);
    citation.addSourceContent(CitationSourceContentDelta.newBuilder().setText("the source"));
    return delta(index, ContentBlockDelta.newBuilder().setCitation(citation));
  }

  static ConverseStreamResponse imageBytes(int index, String bytes) {
    ImageBlockDelta.Builder image = ImageBlockDelta.newBuilder();
    image.getSourceBuilder().setBytes(ByteString.copyFromUtf8(bytes));
    return delta(index, ContentBlockDelta.newBuilder().setImage(image));
  }

  static ConverseStreamResponse unknown(int index, String json) {
    return delta(index, ContentBlockDelta.newBuilder().setUnknownJson(json));
  }

  static ConverseStreamResponse messageStop(StopReason reason, String raw) {
    MessageStopEvent stop = MessageStopEvent.newBuilder().setStopReason(reason).setRawStopReason(raw).build();
    return ConverseStreamResponse.newBuilder().setMessageStop(stop).build();
  }

  static ConverseStreamResponse restart() {
    RestartEvent restart = RestartEvent.newBuilder().setReason(ErrorReason.ERROR_REASON_MODEL_ERROR).build();
    return ConverseStreamResponse.newBuilder().setRestart(restart).build();
  }

  static ConverseStreamResponse metadata() {
    var metadata = ConverseStreamMetadataEvent.newBuilder().setUsage(TokenUsage.newBuilder().setOutputTokens(7));
    return ConverseStreamResponse.newBuilder().setMetadata(metadata).build();
  }

  private static ConverseStreamResponse reasoning(int index, ReasoningContentBlockDelta.Builder part) {
    return delta(index, ContentBlockDelta.newBuilder().setReasoningContent(part));
  }

  private static ConverseStreamResponse start(int index, ContentBlockStart.Builder start) {
    ConverseStreamResponse.Builder event = ConverseStreamResponse.newBuilder();
    event.getContentBlockStartBuilder().setContentBlockIndex(index).setStart(start);
    return event.build();
  }

  private static ConverseStreamResponse delta(int index, ContentBlockDelta.Builder delta) {
    ConverseStreamResponse.Builder event = ConverseStreamResponse.newBuilder();
    event.getContentBlockDeltaBuilder().setContentBlockIndex(index).setDelta(delta);
    return event.build();
  }
}
