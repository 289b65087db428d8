"""Shorthands for common parts of a request."""

from . import pb


def ask(task: str, prompt: str) -> pb.ConverseRequest:
    """Make a request with one prompt."""
    return pb.ConverseRequest(task_type=task, messages=[user(prompt)])


def user(text: str) -> pb.Message:
    """Make a user turn with text."""
    return pb.Message(role="user", content=[pb.ContentBlock(text=text)])


def assistant(text: str) -> pb.Message:
    """Make an assistant turn with text, for a history that is stored elsewhere.

    To continue a conversation, rather send back the original `pb.Message`, which can have more than text.
    """
    return pb.Message(role="assistant", content=[pb.ContentBlock(text=text)])


def system(text: str) -> pb.SystemContentBlock:
    """Make a part of the system prompt."""
    return pb.SystemContentBlock(text=text)


def tool_result(tool_use_id: str, json: str) -> pb.ContentBlock:
    """Make a tool result from exact JSON text. Put the results of all tool uses into the next user turn."""
    part = pb.ToolResultContentBlock(json_text=json)
    return pb.ContentBlock(tool_result=pb.ToolResultBlock(tool_use_id=tool_use_id, content=[part]))
