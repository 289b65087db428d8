"""How to reach Switchboard: the address, TLS, the token, and how long to wait."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json

import grpc

from . import trace

DEFAULT_ADDRESS = "127.0.0.1:50051"
"""Where `switchboard serve` and `switchboard demo` listen unless told otherwise."""

MAX_MESSAGE_BYTES = 64 << 20
"""The largest message sent or received: gRPC's usual 4 MiB cannot hold Bedrock's documents and pictures."""

KEEP_ALIVE = 60.0
"""How often a quiet connection is probed during a call, in seconds. Less would annoy the proxies between."""

KEEP_ALIVE_TIMEOUT = 20.0
"""How long a probe may stay unanswered before the connection counts as broken, in seconds."""

SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            # Only what no model was asked for: Switchboard marks its own final refusals as not to be sent again.
            "retryPolicy": {
                "maxAttempts": 2,
                "initialBackoff": "0.2s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
"""What gRPC does by itself."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Everything that can be set. Its text form shows neither the token nor the client's key."""

    address: str = DEFAULT_ADDRESS
    bearer_token: str | None = dataclasses.field(default=None, repr=False)
    ca_certificate: bytes | None = None
    client_certificate: tuple[bytes, bytes] | None = dataclasses.field(default=None, repr=False)
    deadline: float | None = None
    keep_alive: float = KEEP_ALIVE

    def __post_init__(self) -> None:
        scheme, host = self._parts()
        if scheme not in ("", "http", "https") or not host:
            raise ValueError(f"address {self.address!r}: neither host:port, http:// nor https://")
        if scheme == "http" and (self.ca_certificate or self.client_certificate):
            raise ValueError("certificates need an https:// address")
        if self.deadline is not None and not self.deadline > 0:
            raise ValueError(f"deadline {self.deadline}: not above 0 seconds")
        token = self.bearer_token
        if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
            raise ValueError("the bearer token is empty or has characters that a header cannot carry")

    @property
    def target(self) -> str:
        """The address as gRPC wants it."""
        return self._parts()[1]

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """TLS where the address or a certificate asks for it."""
        scheme, _ = self._parts()
        if scheme != "https" and not self.ca_certificate and not self.client_certificate:
            return None
        chain, key = self.client_certificate or (None, None)
        return grpc.ssl_channel_credentials(self.ca_certificate, key, chain)

    @property
    def channel_arguments(self) -> list[tuple[str, str | int]]:
        version = importlib.metadata.version("switchboard-client")
        return [
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", round(self.keep_alive * 1000)),
            ("grpc.keepalive_timeout_ms", round(KEEP_ALIVE_TIMEOUT * 1000)),
            ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
            ("grpc.primary_user_agent", f"switchboard-client-python/{version}"),
        ]

    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """What goes along with every call: the token, and the trace that the caller is in."""
        metadata: list[tuple[str, str | bytes]] = [*trace.context().items()]
        if self.bearer_token is not None:
            metadata.append(("authorization", f"Bearer {self.bearer_token}"))
        return tuple(metadata)

    def _parts(self) -> tuple[str, str]:
        scheme, _, rest = self.address.strip().rpartition("://")
        return scheme, rest.rstrip("/")
