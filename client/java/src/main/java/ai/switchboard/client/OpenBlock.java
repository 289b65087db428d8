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

/** One block of a message while its pieces come in. */
abstract class OpenBlock {
  /** Adds a piece; false: it does not belong to this kind of block. */
  abstract boolean append(ContentBlockDelta delta);

  /**
   * The block as history wants it: none for blank text, and one for each piece of an unknown kind, since how those would join
   * is unknown too.
   */
  abstract List<ContentBlock> close();

  /** The block that a start event begins. Empty: the first piece decides. */
  static Optional<OpenBlock> begin(ContentBlockStart start) {
    return switch (start.getStartCase()) {
      case TOOL_USE -> Optional.of(new ToolUse(start.getToolUse()));
      case TOOL_RESULT -> Optional.of(new ToolResult(start.getToolResult()));
      case IMAGE -> Optional.of(new Image(start.getImage().getFormat()));
      case UNKNOWN_JSON -> Optional.of(new Unknown(start.getUnknownJson()));
      case START_NOT_SET -> Optional.empty();
    };
  }

  /**
   * The block that a piece begins. Tools name themselves in a start event: without one there is no block to add to. Nor does
   * a piece of an unknown kind begin one: known pieces may follow.
   */
  static Optional<OpenBlock> beginWith(ContentBlockDelta delta) {
    return switch (delta.getDeltaCase()) {
      case TEXT, CITATION -> Optional.of(new Text());
      case REASONING_CONTENT -> Optional.of(new Reasoning());
      case IMAGE -> Optional.of(new Image(""));
      case TOOL_USE, TOOL_RESULT, UNKNOWN_JSON, DELTA_NOT_SET -> Optional.empty();
    };
  }

  /** Words, and what they cite. */
  private static final class Text extends OpenBlock {
    private final StringBuilder words = new StringBuilder();
    private final List<Citation> citations = new ArrayList<>();

    @Override
    boolean append(ContentBlockDelta delta) {
      if (delta.hasText()) {
        words.append(delta.getText());
      } else if (delta.hasCitation()) {
        citations.add(citation(delta.getCitation()));
      } else {
        return false;
      }
      return true;
    }

    @Override
    List<ContentBlock> close() {
      String text = words.toString();
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
      for (CitationSourceContentDelta words : delta.getSourceContentList()) {
        CitationSourceContent.Builder content = cited.addSourceContentBuilder();
        if (words.hasText()) {
          content.setText(words.getText());
        }
      }
      return cited.build();
    }
  }

  /** A tool that the model asks for. */
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

    /** No input at all means {@code {}}: models leave it out for tools without arguments. */
    @Override
    List<ContentBlock> close() {
      use.setInputJson(input.isEmpty() ? "{}" : input.toString());
      return List.of(ContentBlock.newBuilder().setToolUse(use).build());
    }
  }

  /** What a tool at Bedrock answered. */
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

    /** Words go on where the words before ended; every JSON value is a part of its own. */
    @Override
    boolean append(ContentBlockDelta delta) {
      for (ToolResultBlockDelta part : delta.getToolResult().getBlocksList()) {
        switch (part.getBlockCase()) {
          case TEXT -> appendWords(part.getText());
          case JSON_TEXT -> result.addContent(ToolResultContentBlock.newBuilder().setJsonText(part.getJsonText()));
          case UNKNOWN_JSON ->
              result.addContent(ToolResultContentBlock.newBuilder().setUnknownJson(part.getUnknownJson()));
          case BLOCK_NOT_SET -> {}
        }
      }
      return delta.hasToolResult();
    }

    private void appendWords(String words) {
      int last = result.getContentCount() - 1;
      if (last >= 0 && result.getContent(last).hasText()) {
        ToolResultContentBlock.Builder before = result.getContentBuilder(last);
        before.setText(before.getText() + words);
      } else {
        result.addContent(ToolResultContentBlock.newBuilder().setText(words));
      }
    }

    @Override
    List<ContentBlock> close() {
      return List.of(ContentBlock.newBuilder().setToolResult(result).build());
    }
  }

  /** Readable or sealed; a model sends one or the other. */
  private static final class Reasoning extends OpenBlock {
    private StringBuilder words;
    private StringBuilder signature;
    private ByteString sealed = ByteString.EMPTY;
    private final List<String> unknown = new ArrayList<>();

    @Override
    boolean append(ContentBlockDelta delta) {
      if (!delta.hasReasoningContent()) {
        return false;
      }
      ReasoningContentBlockDelta piece = delta.getReasoningContent();
      switch (piece.getDeltaCase()) {
        case TEXT -> words = joined(words, piece.getText());
        case SIGNATURE -> signature = joined(signature, piece.getSignature());
        case REDACTED_CONTENT -> sealed = sealed.concat(piece.getRedactedContent());
        case UNKNOWN_JSON -> unknown.add(piece.getUnknownJson());
        case DELTA_NOT_SET -> {}
      }
      return true;
    }

    @Override
    List<ContentBlock> close() {
      List<ContentBlock> content = new ArrayList<>();
      if (words != null || signature != null) {
        ReasoningTextBlock.Builder readable = ReasoningTextBlock.newBuilder();
        readable.setText(words == null ? "" : words.toString());
        if (signature != null) {
          readable.setSignature(signature.toString());
        }
        content.add(block(ReasoningContentBlock.newBuilder().setReasoningText(readable)));
      }
      if (!sealed.isEmpty()) {
        content.add(block(ReasoningContentBlock.newBuilder().setRedactedContent(sealed)));
      }
      for (String json : unknown) {
        content.add(block(ReasoningContentBlock.newBuilder().setUnknownJson(json)));
      }
      return content;
    }

    private static StringBuilder joined(StringBuilder before, String more) {
      return (before == null ? new StringBuilder() : before).append(more);
    }

    private static ContentBlock block(ReasoningContentBlock.Builder reasoning) {
      return ContentBlock.newBuilder().setReasoningContent(reasoning).build();
    }
  }

  /** A picture. */
  private static final class Image extends OpenBlock {
    private final ImageBlock.Builder image;

    Image(String format) {
      image = ImageBlock.newBuilder().setFormat(format);
    }

    @Override
    boolean append(ContentBlockDelta delta) {
      ImageBlockDelta piece = delta.getImage();
      if (piece.hasError()) {
        image.setError(piece.getError());
      }
      if (piece.getSource().hasBytes() && image.getSource().hasBytes()) {
        image.getSourceBuilder().setBytes(image.getSource().getBytes().concat(piece.getSource().getBytes()));
      } else if (piece.hasSource()) {
        image.setSource(piece.getSource());
      }
      return delta.hasImage();
    }

    @Override
    List<ContentBlock> close() {
      return List.of(ContentBlock.newBuilder().setImage(image).build());
    }
  }

  /** Exact JSON objects, in order. */
  private static final class Unknown extends OpenBlock {
    private final List<String> pieces = new ArrayList<>();

    Unknown(String first) {
      pieces.add(first);
    }

    @Override
    boolean append(ContentBlockDelta delta) {
      if (delta.hasUnknownJson()) {
        pieces.add(delta.getUnknownJson());
      }
      return delta.hasUnknownJson();
    }

    @Override
    List<ContentBlock> close() {
      return pieces.stream().map(it -> ContentBlock.newBuilder().setUnknownJson(it).build()).toList();
    }
  }
}
