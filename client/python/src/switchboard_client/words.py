"""The words among events."""

from . import pb
from .errors import RestartedError


class Words:
    """Reads events and remembers whether words were given out."""

    def __init__(self) -> None:
        self._wrote = False

    def of(self, event: pb.ConverseStreamResponse) -> str:
        """The words of this event; empty for most. Raises `RestartedError` where words would have to be taken back."""
        if event.HasField("restart") and self._wrote:
            raise RestartedError(event.restart.reason)
        words = event.content_block_delta.delta.text
        self._wrote = self._wrote or bool(words)
        return words
