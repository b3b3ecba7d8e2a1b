"""What the HTTP side is set by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HttpSettings:
    """Names and defaults are those of the command line's flags.

    model_id: what was asked for, as ``/info`` tells it; served_model_name: what the model is called in answers
    revision: of the hub's repository
    auto_truncate: whether a text that is too long is cut where its request does not say
    payload_limit: bytes in a body; body_seconds: how long a body may take to come
    api_key: what ``Authorization: Bearer`` must bring, if anything
    cors_allow_origin: pages of these origins may call from a browser; ``*`` is any
    """

    model_id: str = "bundled"
    served_model_name: str | None = None
    revision: str | None = None
    auto_truncate: bool = True
    payload_limit: int = 2_000_000
    body_seconds: float = 60.0
    api_key: str | None = None
    cors_allow_origin: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.served_model_name or self.model_id
