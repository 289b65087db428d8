"""Shorthands for the parts of a request that almost every caller writes."""

from . import pb


def ask(task: str, prompt: str) -> pb.ConverseRequest:
    """A request for one answer to one prompt."""
    return pb.ConverseRequest(task_type=task, messages=[user(prompt)])


def user(text: str) -> pb.Message:
    """A turn of the user's, in words."""
    return pb.Message(role="user", content=[pb.ContentBlock(text=text)])


def assistant(text: str) -> pb.Message:
    """A turn of the model's, in words: for history that was kept elsewhere.

    What a model answered here is better sent back as the `pb.Message` that it came as, which may hold more than words.
    """
    return pb.Message(role="assistant", content=[pb.ContentBlock(text=text)])


def system(text: str) -> pb.SystemContentBlock:
    """One part of the system prompt, in words."""
    return pb.SystemContentBlock(text=text)


def tool_result(tool_use_id: str, json: str) -> pb.ContentBlock:
    """What a tool answered, in exact JSON text: a block of the user's next turn, which answers all tool uses."""
    part = pb.ToolResultContentBlock(json_text=json)
    return pb.ContentBlock(tool_result=pb.ToolResultBlock(tool_use_id=tool_use_id, content=[part]))
