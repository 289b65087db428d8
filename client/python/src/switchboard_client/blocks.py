"""One block of a message while its pieces come in."""

from __future__ import annotations

from . import pb


class OpenBlock:
    """What has come of a block so far. Without a start event the first piece decides what kind it is."""

    def __init__(self, start: pb.ContentBlockStart | None = None) -> None:
        self._kind: str | None = None
        self._text: list[str] = []
        self._citations: list[pb.Citation] = []
        self._tool_use = pb.ToolUseBlock()
        self._tool_result = pb.ToolResultBlock()
        self._image = pb.ImageBlock()
        self._signature: list[str] = []
        self._sealed: list[bytes] = []
        self._unknown: list[str] = []
        if start is not None:
            self._begin(start)

    def append(self, delta: pb.ContentBlockDelta) -> bool:
        """Adds a piece. False: it does not belong to this kind of block."""
        kind = delta.WhichOneof("delta")
        if kind is None:
            return False
        if self._kind is None:
            self._kind = _BEGUN_BY.get(kind)
        if self._kind is None or kind not in _PIECES[self._kind]:
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
        """The block as history wants it.

        None for blank text, and one for each piece of an unknown kind, since how those would join is unknown too.
        """
        match self._kind:
            case "text":
                return self._close_text()
            case "tool_use":
                # No input at all means {}: models leave it out for tools without arguments.
                self._tool_use.input_json = "".join(self._text) or "{}"
                return [pb.ContentBlock(tool_use=self._tool_use)]
            case "tool_result":
                return [pb.ContentBlock(tool_result=self._tool_result)]
            case "reasoning":
                return [pb.ContentBlock(reasoning_content=block) for block in self._close_reasoning()]
            case "image":
                return [pb.ContentBlock(image=self._image)]
            case "unknown":
                return [pb.ContentBlock(unknown_json=piece) for piece in self._unknown]
            case _:
                return []

    def _begin(self, start: pb.ContentBlockStart) -> None:
        match start.WhichOneof("start"):
            case "tool_use":
                self._kind = "tool_use"
                begun = start.tool_use
                self._tool_use = pb.ToolUseBlock(tool_use_id=begun.tool_use_id, name=begun.name)
                if begun.HasField("type"):
                    self._tool_use.type = begun.type
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
                self._sealed.append(delta.redacted_content)
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
            words = pb.CitationGeneratedContent(text=text)
            cited = pb.CitationsContentBlock(content=[words], citations=self._citations)
            return [pb.ContentBlock(citations_content=cited)]
        return [pb.ContentBlock(text=text)] if text.strip() else []

    def _close_reasoning(self) -> list[pb.ReasoningContentBlock]:
        blocks = []
        if self._text or self._signature:
            readable = pb.ReasoningTextBlock(text="".join(self._text))
            if self._signature:
                readable.signature = "".join(self._signature)
            blocks.append(pb.ReasoningContentBlock(reasoning_text=readable))
        if self._sealed:
            blocks.append(pb.ReasoningContentBlock(redacted_content=b"".join(self._sealed)))
        return blocks + [pb.ReasoningContentBlock(unknown_json=piece) for piece in self._unknown]


_BEGUN_BY = {"text": "text", "citation": "text", "reasoning_content": "reasoning", "image": "image"}
"""The kind of block that begins with a piece.

Tools name themselves in a start event: without one there is no block to add to. Nor does a piece of an unknown kind
begin one: known pieces may follow.
"""

_PIECES = {
    "text": {"text", "citation"},
    "tool_use": {"tool_use"},
    "tool_result": {"tool_result"},
    "reasoning": {"reasoning_content"},
    "image": {"image"},
    "unknown": {"unknown_json"},
}
"""The pieces that belong to each kind of block."""


def _append_parts(result: pb.ToolResultBlock, delta: pb.ToolResultDelta) -> None:
    """Words go on where the words before ended; every JSON value is a part of its own."""
    for piece in delta.blocks:
        match piece.WhichOneof("block"):
            case "text" if result.content and result.content[-1].HasField("text"):
                result.content[-1].text += piece.text
            case "text":
                result.content.add(text=piece.text)
            case "json_text":
                result.content.add(json_text=piece.json_text)
            case "unknown_json":
                result.content.add(unknown_json=piece.unknown_json)


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
