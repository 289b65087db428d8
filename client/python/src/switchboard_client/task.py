"""The task types that every Switchboard knows. A configuration may name more: a task type is any string."""

from typing import Final

REASONING: Final = "reasoning"
"""Long chains of thought, where quality matters more than speed."""
CODING: Final = "coding"
"""Writing and changing programs."""
ANALYSIS: Final = "analysis"
"""Reading closely and drawing conclusions."""
SUMMARIZATION: Final = "summarization"
"""Saying the same in fewer words."""
CLASSIFICATION: Final = "classification"
"""Choosing one of a few labels."""
DEFAULT: Final = "default"
"""Everything else; also what a request without a task means."""
