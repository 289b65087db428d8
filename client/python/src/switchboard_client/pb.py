"""The contract as generated types, all in one place: `pb.ConverseRequest`, `pb.STOP_REASON_TOOL_USE`, …"""

from switchboard.v1 import *  # noqa: F403
