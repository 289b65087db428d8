package ai.switchboard.client;

import ai.switchboard.v1.ContentBlock;
import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.Message;
import ai.switchboard.v1.SystemContentBlock;
import ai.switchboard.v1.ToolResultBlock;
import ai.switchboard.v1.ToolResultContentBlock;

/** Shorthands for the parts of a request that almost every caller writes. */
public final class Requests {
  private Requests() {}

  /** A request for one answer to one prompt. */
  public static ConverseRequest ask(String task, String prompt) {
    return ConverseRequest.newBuilder().setTaskType(task).addMessages(user(prompt)).build();
  }

  /** A turn of the user's, in words. */
  public static Message user(String text) {
    return turn("user", text);
  }

  /**
   * A turn of the model's, in words: for history that was kept elsewhere. What a model answered here is better sent back as
   * the message that it came as, which may hold more than words.
   */
  public static Message assistant(String text) {
    return turn("assistant", text);
  }

  /** One part of the system prompt, in words. */
  public static SystemContentBlock system(String text) {
    return SystemContentBlock.newBuilder().setText(text).build();
  }

  /** What a tool answered, in exact JSON text: a block of the user's next turn, which answers every tool use at once. */
  public static ContentBlock toolResult(String toolUseId, String json) {
    ToolResultContentBlock part = ToolResultContentBlock.newBuilder().setJsonText(json).build();
    ToolResultBlock result = ToolResultBlock.newBuilder().setToolUseId(toolUseId).addContent(part).build();
    return ContentBlock.newBuilder().setToolResult(result).build();
  }

  private static Message turn(String role, String text) {
    return Message.newBuilder().setRole(role).addContent(ContentBlock.newBuilder().setText(text)).build();
  }
}
