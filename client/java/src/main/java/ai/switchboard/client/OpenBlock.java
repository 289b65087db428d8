package ai.switchboard.client;

import ai.switchboard.v1.Citation;
import ai.switchboard.v1.CitationGeneratedContent;
import ai.switchboard.v1.CitationSourceContent;
import ai.switchboard.v1.CitationSourceContentDelta;
import ai.switchboard.v1.CitationsContentBlock;
import ai.switchboard.v1.CitationsDelta;
import ai.switchboard.v1.ContentBlock;
import ai.switchboard.v1.ContentBlockDelta;
import ai.switchboard.v1.ContentBlockStart;
import ai.switchboard.v1.ImageBlock;
import ai.switchboard.v1.ImageBlockDelta;
import ai.switchboard.v1.ReasoningContentBlock;
import ai.switchboard.v1.ReasoningContentBlockDelta;
import ai.switchboard.v1.ReasoningTextBlock;
import ai.switchboard.v1.ToolResultBlock;
import ai.switchboard.v1.ToolResultBlockDelta;
import ai.switchboard.v1.ToolResultBlockStart;
import ai.switchboard.v1.ToolResultContentBlock;
import ai.switchboard.v1.ToolUseBlock;
import ai.switchboard.v1.ToolUseBlockStart;
import com.google.protobuf.ByteString;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Content block that is being received. */
abstract class OpenBlock {
  /** Adds a delta. Returns false if it does not belong to this kind of block. */
  abstract boolean append(ContentBlockDelta delta);

  /**
   * Returns the block as it is sent back in a history: no block for blank text, and one block for each delta
   * of an unknown kind, because it is unknown how to combine them.
   */
  abstract List<ContentBlock> close();

  /** Returns the block of a start event. Empty: the first delta determines the kind of block. */
  static Optional<OpenBlock> of(ContentBlockStart start) {
    return switch (start.getStartCase()) {
      case TOOL_USE -> Optional.of(new ToolUse(start.getToolUse()));
      case TOOL_RESULT -> Optional.of(new ToolResult(start.getToolResult()));
      case IMAGE -> Optional.of(new Image(start.getImage().getFormat()));
      case UNKNOWN_JSON -> Optional.of(new Unknown(start.getUnknownJson()));
      case START_NOT_SET -> Optional.empty();
    };
  }

  /**
   * Returns the kind of block that starts with this delta. Tool blocks need a start event, which has their
   * name. A delta of an unknown kind does not determine the kind of block, because known deltas can follow.
   */
  static Optional<OpenBlock> startingWith(ContentBlockDelta delta) {
    return switch (delta.getDeltaCase()) {
      case TEXT, CITATION -> Optional.of(new Text());
      case REASONING_CONTENT -> Optional.of(new Reasoning());
      case IMAGE -> Optional.of(new Image(""));
      case TOOL_USE, TOOL_RESULT, UNKNOWN_JSON, DELTA_NOT_SET -> Optional.empty();
    };
  }

  /** Text with citations. */
  private static final class Text extends OpenBlock {
    private final StringBuilder text = new StringBuilder();
    private final List<Citation> citations = new ArrayList<>();

    @Override
    boolean append(ContentBlockDelta delta) {
      if (delta.hasText()) {
        text.append(delta.getText());
      } else if (delta.hasCitation()) {
        citations.add(citation(delta.getCitation()));
      } else {
        return false;
      }
      return true;
    }

    @Override
    List<ContentBlock> close() {
      String text = this.text.toString();
      if (!citations.isEmpty()) {
        CitationsContentBlock.Builder cited = CitationsContentBlock.newBuilder().addAllCitations(citations);
        cited.addContent(CitationGeneratedContent.newBuilder().setText(text));
        return List.of(ContentBlock.newBuilder().setCitationsContent(cited).build());
      }
      return text.isBlank() ? List.of() : List.of(ContentBlock.newBuilder().setText(text).build());
    }

    private static Citation citation(CitationsDelta delta) {
      Citation.Builder cited = Citation.newBuilder();
      if (delta.hasTitle()) {
        cited.setTitle(delta.getTitle());
      }
      if (delta.hasSource()) {
        cited.setSource(delta.getSource());
      }
      if (delta.hasLocation()) {
        cited.setLocation(delta.getLocation());
      }
      for (CitationSourceContentDelta source : delta.getSourceContentList()) {
        CitationSourceContent.Builder content = cited.addSourceContentBuilder();
        if (source.hasText()) {
          content.setText(source.getText());
        }
      }
      return cited.build();
    }
  }

  /** Tool call that the model requests. */
  private static final class ToolUse extends OpenBlock {
    private final ToolUseBlock.Builder use = ToolUseBlock.newBuilder();
    private final StringBuilder input = new StringBuilder();

    ToolUse(ToolUseBlockStart start) {
      use.setToolUseId(start.getToolUseId()).setName(start.getName());
      if (start.hasType()) {
        use.setType(start.getType());
      }
    }

    @Override
    boolean append(ContentBlockDelta delta) {
      input.append(delta.getToolUse().getInput());
      return delta.hasToolUse();
    }

    /** Returns the tool use. Models send no input for tools without arguments. */
    @Override
    List<ContentBlock> close() {
      use.setInputJson(input.isEmpty() ? "{}" : input.toString());
      return List.of(ContentBlock.newBuilder().setToolUse(use).build());
    }
  }

  /** Result of a tool that runs at Bedrock. */
  private static final class ToolResult extends OpenBlock {
    private final ToolResultBlock.Builder result = ToolResultBlock.newBuilder();

    ToolResult(ToolResultBlockStart start) {
      result.setToolUseId(start.getToolUseId());
      if (start.hasType()) {
        result.setType(start.getType());
      }
      if (start.hasStatus()) {
        result.setStatus(start.getStatus());
      }
    }

    /** Appends text to a preceding text part. Every JSON value is a part of its own. */
    @Override
    boolean append(ContentBlockDelta delta) {
      for (ToolResultBlockDelta part : delta.getToolResult().getBlocksList()) {
        switch (part.getBlockCase()) {
          case TEXT -> appendText(part.getText());
          case JSON_TEXT -> result.addContent(ToolResultContentBlock.newBuilder().setJsonText(part.getJsonText()));
          case UNKNOWN_JSON ->
              result.addContent(ToolResultContentBlock.newBuilder().setUnknownJson(part.getUnknownJson()));
          case BLOCK_NOT_SET -> {}
        }
      }
      return delta.hasToolResult();
    }

    private void appendText(String text) {
      int last = result.getContentCount() - 1;
      if (last >= 0 && result.getContent(last).hasText()) {
        ToolResultContentBlock.Builder before = result.getContentBuilder(last);
        before.setText(before.getText() + text);
      } else {
        result.addContent(ToolResultContentBlock.newBuilder().setText(text));
      }
    }

    @Override
    List<ContentBlock> close() {
      return List.of(ContentBlock.newBuilder().setToolResult(result).build());
    }
  }

  /** Reasoning: plain text or encrypted. A model sends one or the other. */
  private static final class Reasoning extends OpenBlock {
    private StringBuilder text;
    private StringBuilder signature;
    private ByteString redacted = ByteString.EMPTY;
    private final List<String> unknown = new ArrayList<>();

    @Override
    boolean append(ContentBlockDelta delta) {
      if (!delta.hasReasoningContent()) {
        return false;
      }
      ReasoningContentBlockDelta part = delta.getReasoningContent();
      switch (part.getDeltaCase()) {
        case TEXT -> text = append(text, part.getText());
        case SIGNATURE -> signature = append(signature, part.getSignature());
        case REDACTED_CONTENT -> redacted = redacted.concat(part.getRedactedContent());
        case UNKNOWN_JSON -> unknown.add(part.getUnknownJson());
        case DELTA_NOT_SET -> {}
      }
      return true;
    }

    @Override
    List<ContentBlock> close() {
      List<ContentBlock> content = new ArrayList<>();
      if (text != null || signature != null) {
        ReasoningTextBlock.Builder plain = ReasoningTextBlock.newBuilder();
        plain.setText(text == null ? "" : text.toString());
        if (signature != null) {
          plain.setSignature(signature.toString());
        }
        content.add(block(ReasoningContentBlock.newBuilder().setReasoningText(plain)));
      }
      if (!redacted.isEmpty()) {
        content.add(block(ReasoningContentBlock.newBuilder().setRedactedContent(redacted)));
      }
      for (String json : unknown) {
        content.add(block(ReasoningContentBlock.newBuilder().setUnknownJson(json)));
      }
      return content;
    }

    private static StringBuilder append(StringBuilder before, String more) {
      return (before == null ? new StringBuilder() : before).append(more);
    }

    private static ContentBlock block(ReasoningContentBlock.Builder reasoning) {
      return ContentBlock.newBuilder().setReasoningContent(reasoning).build();
    }
  }

  /** Image. */
  private static final class Image extends OpenBlock {
    private final ImageBlock.Builder image;

    Image(String format) {
      image = ImageBlock.newBuilder().setFormat(format);
    }

    @Override
    boolean append(ContentBlockDelta delta) {
      ImageBlockDelta part = delta.getImage();
      if (part.hasError()) {
        image.setError(part.getError());
      }
      if (part.getSource().hasBytes() && image.getSource().hasBytes()) {
        image.getSourceBuilder().setBytes(image.getSource().getBytes().concat(part.getSource().getBytes()));
      } else if (part.hasSource()) {
        image.setSource(part.getSource());
      }
      return delta.hasImage();
    }

    @Override
    List<ContentBlock> close() {
      return List.of(ContentBlock.newBuilder().setImage(image).build());
    }
  }

  /** Block of an unknown kind: exact JSON objects, in order. */
  private static final class Unknown extends OpenBlock {
    private final List<String> parts = new ArrayList<>();

    Unknown(String first) {
      parts.add(first);
    }

    @Override
    boolean append(ContentBlockDelta delta) {
      if (delta.hasUnknownJson()) {
        parts.add(delta.getUnknownJson());
      }
      return delta.hasUnknownJson();
    }

    @Override
    List<ContentBlock> close() {
      return parts.stream().map(it -> ContentBlock.newBuilder().setUnknownJson(it).build()).toList();
    }
  }
}
