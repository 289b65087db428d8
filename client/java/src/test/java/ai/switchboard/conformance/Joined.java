package ai.switchboard.conformance;

import ai.switchboard.v1.ContentBlock;
import ai.switchboard.v1.ContentBlockDelta;
import ai.switchboard.v1.ConverseStreamResponse;
import ai.switchboard.v1.Message;
import ai.switchboard.v1.ReasoningContentBlockDelta;
import ai.switchboard.v1.ReasoningTextBlock;
import ai.switchboard.v1.ToolUseBlock;
import ai.switchboard.v1.ToolUseBlockStart;
import java.util.TreeMap;

/** Assembles a streamed turn without the client's collector: text, reasoning and tool uses. */
final class Joined {
  private final TreeMap<Integer, ContentBlock.Builder> blocks = new TreeMap<>();

  void add(ConverseStreamResponse event) {
    if (event.hasRestart()) {
      blocks.clear();
    }
    if (event.getContentBlockStart().getStart().hasToolUse()) {
      ToolUseBlockStart start = event.getContentBlockStart().getStart().getToolUse();
      ToolUseBlock.Builder use = block(event.getContentBlockStart().getContentBlockIndex()).getToolUseBuilder();
      use.setToolUseId(start.getToolUseId()).setName(start.getName());
      if (start.hasType()) {
        use.setType(start.getType());
      }
    }
    if (event.hasContentBlockDelta()) {
      append(block(event.getContentBlockDelta().getContentBlockIndex()), event.getContentBlockDelta().getDelta());
    }
  }

  Message message() {
    Message.Builder message = Message.newBuilder().setRole("assistant");
    blocks.values().forEach(message::addContent);
    return message.build();
  }

  private ContentBlock.Builder block(int index) {
    return blocks.computeIfAbsent(index, it -> ContentBlock.newBuilder());
  }

  private static void append(ContentBlock.Builder block, ContentBlockDelta delta) {
    switch (delta.getDeltaCase()) {
      case TEXT -> block.setText(block.getText() + delta.getText());
      case TOOL_USE -> {
        ToolUseBlock.Builder use = block.getToolUseBuilder();
        use.setInputJson(use.getInputJson() + delta.getToolUse().getInput());
      }
      case REASONING_CONTENT -> addReasoning(block, delta.getReasoningContent());
      default -> {}
    }
  }

  private static void addReasoning(ContentBlock.Builder block, ReasoningContentBlockDelta part) {
    ReasoningTextBlock.Builder thought = block.getReasoningContentBuilder().getReasoningTextBuilder();
    thought.setText(thought.getText() + part.getText());
    if (part.hasSignature()) {
      thought.setSignature(thought.getSignature() + part.getSignature());
    }
  }
}
