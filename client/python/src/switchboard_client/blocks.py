"""Assembles one content block from its deltas."""

from __future__ import annotations

from . import pb


class OpenBlock:
    """Content block that is being received. Without a start event, the first delta determines its kind."""

    def __init__(self, start: pb.ContentBlockStart | None = None) -> None:
        self._kind: str | None = None
        self._text: list[str] = []
        self._citations: list[pb.Citation] = []
        self._tool_use = pb.ToolUseBlock()
        self._tool_result = pb.ToolResultBlock()
        self._image = pb.ImageBlock()
        self._signature: list[str] = []
        self._redacted: list[bytes] = []
        self._unknown: list[str] = []
        if start is not None:
            self._begin(start)

    def append(self, delta: pb.ContentBlockDelta) -> bool:
        """Add a delta. Return False if it does not belong to this kind of block."""
        kind = delta.WhichOneof("delta")
        if kind is None:
            return False
        if self._kind is None:
            self._kind = _KIND_BY_FIRST_DELTA.get(kind)
        if self._kind is None or kind not in _DELTAS[self._kind]:
            return False
        match kind:
            case "text":
                self._text.append(delta.text)
            case "citation":
                self._citations.append(_citation(delta.citation))
            case "tool_use":
                self._text.append(delta.tool_use.input)
            case "tool_result":
                _append_parts(self._tool_result, delta.tool_result)
            case "reasoning_content":
                self._append_reasoning(delta.reasoning_content)
            case "image":
                self._append_image(delta.image)
            case "unknown_json":
                self._unknown.append(delta.unknown_json)
        return True

    def close(self) -> list[pb.ContentBlock]:
        """Return the block as it is sent back in a history.

        Blank text gives no block. Deltas of an unknown kind give one block each, because it is unknown how to
        combine them.
        """
        match self._kind:
            case "text":
                return self._close_text()
            case "tool_use":
                # Models send no input for tools without arguments.
                self._tool_use.input_json = "".join(self._text) or "{}"
                return [pb.ContentBlock(tool_use=self._tool_use)]
            case "tool_result":
                return [pb.ContentBlock(tool_result=self._tool_result)]
            case "reasoning":
                return [pb.ContentBlock(reasoning_content=block) for block in self._close_reasoning()]
            case "image":
                return [pb.ContentBlock(image=self._image)]
            case "unknown":
                return [pb.ContentBlock(unknown_json=json) for json in self._unknown]
            case _:
                return []

    def _begin(self, start: pb.ContentBlockStart) -> None:
        match start.WhichOneof("start"):
            case "tool_use":
                self._kind = "tool_use"
                use = start.tool_use
                self._tool_use = pb.ToolUseBlock(tool_use_id=use.tool_use_id, name=use.name)
                if use.HasField("type"):
                    self._tool_use.type = use.type
            case "tool_result":
                self._kind = "tool_result"
                result = start.tool_result
                self._tool_result = pb.ToolResultBlock(tool_use_id=result.tool_use_id)
                if result.HasField("type"):
                    self._tool_result.type = result.type
                if result.HasField("status"):
                    self._tool_result.status = result.status
            case "image":
                self._kind = "image"
                self._image.format = start.image.format
            case "unknown_json":
                self._kind = "unknown"
                self._unknown.append(start.unknown_json)

    def _append_reasoning(self, delta: pb.ReasoningContentBlockDelta) -> None:
        match delta.WhichOneof("delta"):
            case "text":
                self._text.append(delta.text)
            case "signature":
                self._signature.append(delta.signature)
            case "redacted_content":
                self._redacted.append(delta.redacted_content)
            case "unknown_json":
                self._unknown.append(delta.unknown_json)

    def _append_image(self, delta: pb.ImageBlockDelta) -> None:
        if delta.HasField("error"):
            self._image.error.CopyFrom(delta.error)
        if delta.source.WhichOneof("source") == "bytes":
            self._image.source.bytes += delta.source.bytes
        elif delta.source.WhichOneof("source") is not None:
            self._image.source.CopyFrom(delta.source)

    def _close_text(self) -> list[pb.ContentBlock]:
        text = "".join(self._text)
        if self._citations:
            content = pb.CitationGeneratedContent(text=text)
            cited = pb.CitationsContentBlock(content=[content], citations=self._citations)
            return [pb.ContentBlock(citations_content=cited)]
        return [pb.ContentBlock(text=text)] if text.strip() else []

    def _close_reasoning(self) -> list[pb.ReasoningContentBlock]:
        blocks = []
        if self._text or self._signature:
            plain = pb.ReasoningTextBlock(text="".join(self._text))
            if self._signature:
                plain.signature = "".join(self._signature)
            blocks.append(pb.ReasoningContentBlock(reasoning_text=plain))
        if self._redacted:
            blocks.append(pb.ReasoningContentBlock(redacted_content=b"".join(self._redacted)))
        return blocks + [pb.ReasoningContentBlock(unknown_json=json) for json in self._unknown]


_KIND_BY_FIRST_DELTA = {"text": "text", "citation": "text", "reasoning_content": "reasoning", "image": "image"}
"""Kind of the block that starts with a delta.

Tool blocks need a start event, which has their name. A delta of an unknown kind does not determine the kind
of block, because known deltas can follow.
"""

_DELTAS = {
    "text": {"text", "citation"},
    "tool_use": {"tool_use"},
    "tool_result": {"tool_result"},
    "reasoning": {"reasoning_content"},
    "image": {"image"},
    "unknown": {"unknown_json"},
}
"""Deltas that belong to each kind of block."""


def _append_parts(result: pb.ToolResultBlock, delta: pb.ToolResultDelta) -> None:
    """Append text to a preceding text part. Every JSON value is a part of its own."""
    for part in delta.blocks:
        match part.WhichOneof("block"):
            case "text" if result.content and result.content[-1].HasField("text"):
                result.content[-1].text += part.text
            case "text":
                result.content.add(text=part.text)
            case "json_text":
                result.content.add(json_text=part.json_text)
            case "unknown_json":
                result.content.add(unknown_json=part.unknown_json)


def _citation(delta: pb.CitationsDelta) -> pb.Citation:
    citation = pb.Citation()
    if delta.HasField("title"):
        citation.title = delta.title
    if delta.HasField("source"):
        citation.source = delta.source
    for content in delta.source_content:
        part = citation.source_content.add()
        if content.HasField("text"):
            part.text = content.text
    if delta.HasField("location"):
        citation.location.CopyFrom(delta.location)
    return citation
