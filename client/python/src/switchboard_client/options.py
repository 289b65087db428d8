"""Connection options: address, TLS, token and timeouts."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json

import grpc

from . import trace

DEFAULT_ADDRESS = "127.0.0.1:50051"
"""Default address of `switchboard serve` and `switchboard demo`."""

MAX_MESSAGE_BYTES = 64 << 20
"""Maximum size of a message, in bytes. gRPC's default of 4 MiB is too small for documents and images."""

KEEP_ALIVE = 60.0
"""Default interval of keep-alive pings during a call, in seconds. Some proxies do not allow shorter intervals."""

KEEP_ALIVE_TIMEOUT = 20.0
"""Time without an answer to a ping after which the connection is closed, in seconds."""

SERVICE_CONFIG: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
"""Calls are spread over all addresses of the server's name. There is no retry policy: see README.md, "Retries"."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Connection options. The text form shows neither the token nor the client's key."""

    address: str = DEFAULT_ADDRESS
    bearer_token: str | None = dataclasses.field(default=None, repr=False)
    ca_certificate: bytes | None = None
    client_certificate: tuple[bytes, bytes] | None = dataclasses.field(default=None, repr=False)
    deadline: float | None = None
    keep_alive: float = KEEP_ALIVE

    def __post_init__(self) -> None:
        scheme, host = self._parts()
        if scheme not in ("", "http", "https") or not host:
            raise ValueError(f"address {self.address!r}: use host:port, http://host:port or https://host:port")
        if scheme == "http" and (self.ca_certificate or self.client_certificate):
            raise ValueError("certificates need an https:// address")
        if self.deadline is not None and not self.deadline > 0:
            raise ValueError(f"deadline {self.deadline}: must be greater than 0 seconds")
        token = self.bearer_token
        if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
            raise ValueError("the bearer token is empty or has characters that a header must not have")

    @property
    def target(self) -> str:
        """The address in the format of gRPC."""
        return self._parts()[1]

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """TLS credentials, if the address or a certificate requires TLS."""
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
        """Return the metadata of a call: the token and the current trace context."""
        metadata: list[tuple[str, str | bytes]] = [*trace.context().items()]
        if self.bearer_token is not None:
            metadata.append(("authorization", f"Bearer {self.bearer_token}"))
        return tuple(metadata)

    def _parts(self) -> tuple[str, str]:
        scheme, _, rest = self.address.strip().rpartition("://")
        return scheme, rest.rstrip("/")
