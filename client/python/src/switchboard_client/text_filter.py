"""Extracts text from the events of a stream."""

from . import pb
from .errors import RestartedError, reason_name


class TextFilter:
    """Returns the text of events, and remembers whether there was any."""

    def __init__(self) -> None:
        self._has_text = False

    def text_of(self, event: pb.ConverseStreamResponse) -> str:
        """Return the text of an event; empty for most events.

        Raises `RestartedError` if another model starts over after text was returned.
        """
        if event.HasField("restart") and self._has_text:
            raise RestartedError(reason_name(event.restart.reason))
        text = event.content_block_delta.delta.text
        self._has_text = self._has_text or bool(text)
        return text
