package ai.switchboard.client;

import ai.switchboard.v1.ContentBlock;
import ai.switchboard.v1.ConverseRequest;
import ai.switchboard.v1.Message;
import ai.switchboard.v1.SystemContentBlock;
import ai.switchboard.v1.ToolResultBlock;
import ai.switchboard.v1.ToolResultContentBlock;

/** Shorthands for common parts of a request. */
public final class Requests {
  private Requests() {}

  /** Makes a request with one prompt. */
  public static ConverseRequest ask(String task, String prompt) {
    return ConverseRequest.newBuilder().setTaskType(task).addMessages(user(prompt)).build();
  }

  /** Makes a user turn with text. */
  public static Message user(String text) {
    return turn("user", text);
  }

  /**
   * Makes an assistant turn with text, for a history that is stored elsewhere. To continue a conversation,
   * rather send back the original message, which can have more than text.
   */
  public static Message assistant(String text) {
    return turn("assistant", text);
  }

  /** Makes a part of the system prompt. */
  public static SystemContentBlock system(String text) {
    return SystemContentBlock.newBuilder().setText(text).build();
  }

  /** Makes a tool result from exact JSON text. Put the results of all tool uses into the next user turn. */
  public static ContentBlock toolResult(String toolUseId, String json) {
    ToolResultContentBlock part = ToolResultContentBlock.newBuilder().setJsonText(json).build();
    ToolResultBlock result = ToolResultBlock.newBuilder().setToolUseId(toolUseId).addContent(part).build();
    return ContentBlock.newBuilder().setToolResult(result).build();
  }

  private static Message turn(String role, String text) {
    return Message.newBuilder().setRole(role).addContent(ContentBlock.newBuilder().setText(text)).build();
  }
}
