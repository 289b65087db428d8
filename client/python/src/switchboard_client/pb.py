"""All generated types of the contract: `pb.ConverseRequest`, `pb.STOP_REASON_TOOL_USE`, …"""

from switchboard.v1 import *  # noqa: F403
