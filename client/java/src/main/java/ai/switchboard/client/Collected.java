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
 * Complete answer of {@code Converse} or of a stream.
 *
 * @param response the answer as {@code Converse} returns it. For a stream, blank text, which Bedrock rejects in a history, is
 *     left out, and the route is the final one.
 * @param unplaced events that could not be added: they are newer than this client, or belong to no known block
 */
public record Collected(ConverseResponse response, List<ConverseStreamResponse> unplaced) {
  /** Converts a complete response. */
  public static Collected from(ConverseResponse response) {
    return new Collected(response, List.of());
  }

  /** Returns the assistant's turn. Append it to the messages to continue the conversation. */
  public Message message() {
    return response.getOutput().getMessage();
  }

  /** Returns the text of the answer, without reasoning and tool uses. */
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

  /**
   * Returns the tool calls that the model requests. {@code getInputJson()} has the exact JSON text of the
   * arguments.
   */
  public List<ToolUseBlock> toolUses() {
    return message().getContentList().stream()
        .filter(ContentBlock::hasToolUse)
        .map(ContentBlock::getToolUse)
        .toList();
  }

  /** Returns why the model stopped. */
  public StopReason stopReason() {
    return response.getStopReason();
  }

  /** Returns the stop reason exactly as Bedrock sent it, such as {@code end_turn}. */
  public String rawStopReason() {
    return response.getRawStopReason();
  }

  /** Returns the tokens of the attempt that answered. Empty: Bedrock did not report usage. */
  public Optional<TokenUsage> usage() {
    return response.hasUsage() ? Optional.of(response.getUsage()) : Optional.empty();
  }

  /** Returns the model that answered, and every attempt. */
  public Route route() {
    return response.getRoute();
  }

  /**
   * Returns the cost of the call, including every attempt. Empty: a price is unknown; do not read this as
   * zero.
   */
  public Optional<Cost> cost() {
    return response.hasCost() ? Optional.of(response.getCost()) : Optional.empty();
  }

  /** Returns the duration of the call and of its parts. */
  public Latency latency() {
    return response.getLatency();
  }
}
