"""Names of common tasks. A task type is any string that the server's configuration defines."""

from typing import Final

REASONING: Final = "reasoning"
"""Multi-step reasoning, where quality matters more than speed."""
CODING: Final = "coding"
"""Writing and changing code."""
ANALYSIS: Final = "analysis"
"""Analysis of documents and data."""
SUMMARIZATION: Final = "summarization"
"""Summaries."""
CLASSIFICATION: Final = "classification"
"""Choosing one of a few labels."""
DEFAULT: Final = "default"
"""Everything else. Also used for a request without a task."""
