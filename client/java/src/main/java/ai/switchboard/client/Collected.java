package ai.switchboard.client;

import ai.switchboard.v1.CitationGeneratedContent;
import ai.switchboard.v1.ContentBlock;
import ai.switchboard.v1.ConverseResponse;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.Cost;
import ai.switchboard.v1.Latency;
import ai.switchboard.v1.Message;
import ai.switchboard.v1.Route;
import ai.switchboard.v1.StopReason;
import ai.switchboard.v1.TokenUsage;
import ai.switchboard.v1.ToolUseBlock;
import java.util.List;
import java.util.Optional;

/**
 * An answer, whole, however it came.
 *
 * @param response all of it, as {@code Converse} answers. Of a stream, blank text, which Bedrock refuses in a history, is
 *     left out.
 * @param unplaced events that have no place in it: newer than this client, or of no known block
 */
public record Collected(ConverseResponse response, List<ConverseStreamResponse> unplaced) {
  /** The answer of a call that was not streamed. */
  public static Collected from(ConverseResponse response) {
    return new Collected(response, List.of());
  }

  /** What the model said. Send it back as the next turn's history. */
  public Message message() {
    return response.getOutput().getMessage();
  }

  /** The words of the answer, without reasoning and tool uses. */
  public String text() {
    StringBuilder text = new StringBuilder();
    for (ContentBlock block : message().getContentList()) {
      text.append(block.getText());
      for (CitationGeneratedContent part : block.getCitationsContent().getContentList()) {
        text.append(part.getText());
      }
    }
    return text.toString();
  }

  /** The tools that the model asks for; their arguments are exact JSON text in {@code getInputJson()}. */
  public List<ToolUseBlock> toolUses() {
    return message().getContentList().stream()
        .filter(ContentBlock::hasToolUse)
        .map(ContentBlock::getToolUse)
        .toList();
  }

  /** Why the model stopped. */
  public StopReason stopReason() {
    return response.getStopReason();
  }

  /** The same in Bedrock's own word, such as {@code end_turn}. */
  public String rawStopReason() {
    return response.getRawStopReason();
  }

  /** What was read and written. Empty: Bedrock did not say. */
  public Optional<TokenUsage> usage() {
    return response.hasUsage() ? Optional.of(response.getUsage()) : Optional.empty();
  }

  /** Who answered, and every attempt before. */
  public Route route() {
    return response.getRoute();
  }

  /** What the call cost, every attempt included. Empty: the price of a part is unknown; it is not zero. */
  public Optional<Cost> cost() {
    return response.hasCost() ? Optional.of(response.getCost()) : Optional.empty();
  }

  /** Where the time went. */
  public Latency latency() {
    return response.getLatency();
  }
}
