"""What a service is set by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Names and defaults are those of the command line's flags; durations are in seconds.

    max_concurrent_requests: texts under way; max_batch_tokens: tokens in a layer call, and times the model's depths
        the layer-tokens under way; max_client_batch_size: texts in a request
    operating_point: for requests that name no policy, a name or a spec; unsaid, the classifier's own
    adaptive: the fastest operating point that overload may lead to; target_delay: what is overload, as the wait of
        the oldest text that has not started
    shadow: the share of texts that run to full depth after their answer
    tokenization_workers: threads that tokenise
    max_policies: different policies under way at once, since each is decided by itself
    warm_up: at most so long, before the first request, for layer calls of every size; 0 is for no such calls
    step_limit: a layer call that takes longer hangs; most_failures: attempts to build the engine anew
    """

    max_concurrent_requests: int = 512
    max_batch_tokens: int = 16384
    max_client_batch_size: int = 32
    operating_point: str | None = None
    adaptive: str | None = None
    target_delay: float = 0.1
    shadow: float = 0.0
    shadow_window: int = 1000
    tokenization_workers: int = 2
    max_policies: int = 16
    warm_up: float = 0.0
    step_limit: float = 60.0
    most_failures: int = 3
    pause: float = 0.5
    shutdown_timeout: float = 30.0
