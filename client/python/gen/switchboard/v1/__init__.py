"""All messages and enums. Generated from proto/ by client/python/generate: do not edit."""

from .content_pb2 import *  # noqa: F403
from .converse_pb2 import *  # noqa: F403
from .feedback_pb2 import *  # noqa: F403
from .guardrail_pb2 import *  # noqa: F403
from .route_pb2 import *  # noqa: F403
from .routing_pb2 import *  # noqa: F403
from .usage_pb2 import *  # noqa: F403
