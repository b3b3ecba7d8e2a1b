"""A scenario: what a seed decides before the service starts, such as the model, the settings, the texts, the faults."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp
from random import Random

from table_model import (
    BROKEN,
    MAX_LENGTH,
    NAN,
    PANIC,
    REFUSED,
    UNEMBEDDABLE,
    UNKNOWN_TOKEN,
    VOCABULARY,
    NumberTokeniser,
    TableBackend,
    make_classifier,
    make_config,
)

from elbert.serving.settings import Settings

SPECS = ("full", "depth(1)", "depth(3)", "entropy(0.3)", "confidence(0.8)", "patience(2)", "patience(1)")
POINTS = (("safe", "entropy(0.2)", 8.0), ("balanced", "patience(2)", 5.0), ("fast", "depth(2)", 2.0))
FAULTY = (NAN, BROKEN, UNEMBEDDABLE, UNKNOWN_TOKEN)


@dataclass(frozen=True)
class Trouble:
    """A fault of the backend or the tokenizer from ``begin`` to ``end``, in seconds from the start of the episode.

    ``strength`` is the probability that a call fails (``failing``, ``tokenizer failing``), the factor of its duration
    (``slow``), or its duration (``stuck``, ``tokenizer slow``).
    """

    kind: str
    begin: float
    end: float
    strength: float


@dataclass(frozen=True)
class Scenario:
    """What happens in an episode; the same seed and length give the same one."""

    seed: int
    seconds: float
    depths: int
    groups: int
    labels: int
    multi_label: bool
    max_rows: int
    max_tokens: int
    call_seconds: float
    settings: Settings
    clients: int
    think_seconds: float
    texts: tuple[str, ...]
    faulty_texts: tuple[str, ...]
    specs: tuple[str | None, ...]
    troubles: tuple[Trouble, ...]
    restarts: tuple[float, ...]  # when a new service replaces the present one
    is_quiet_at_end: bool  # whether the last stop waits until all clients are done
    eagerness: float  # of the scheduler, like the next three
    stalls: float
    stall_seconds: float
    tick: float
    watches_lines: bool
    grid: float  # durations are multiples of it, so that events coincide; 0: any duration

    @classmethod
    def draw(cls, seed: int, seconds: float = 120.0) -> Scenario:
        """Draw a scenario."""
        random = Random(f"scenario {seed}")
        rate = random.choice((0.2, 0.5, 0.8))
        return cls(
            seed=seed,
            seconds=seconds,
            depths=random.choice((4, 6, 12, 24)),
            groups=random.choice((1, 1, 1, 2)),
            labels=random.choice((2, 3)),
            multi_label=random.random() < 0.2,
            max_rows=(rows := random.choice((1, 2, 4, 8))),
            max_tokens=(tokens := random.choice((MAX_LENGTH, 2 * MAX_LENGTH, 200))),
            call_seconds=random.choice((0.002, 0.02, 0.1, 0.3)),
            settings=draw_settings(random, rows, tokens),
            clients=(clients := random.randint(2, 8)),
            think_seconds=clients / rate,
            texts=tuple(draw_text(random) for _ in range(24)),
            faulty_texts=tuple(
                f"{draw_text(random)} {word}" for word in random.sample([*map(str, FAULTY), PANIC, REFUSED], 2)
            ),
            specs=tuple(random.sample([None, None, "safe", "balanced", "fast", *SPECS], random.randint(1, 6))),
            troubles=tuple(draw_trouble(random, seconds) for _ in range(random.choice((0, 1, 2, 4)))),
            restarts=tuple(sorted(random.uniform(0, seconds) for _ in range(random.choice((0, 0, 1, 2))))),
            is_quiet_at_end=random.random() < 0.7,
            eagerness=random.choice((0.05, 0.3, 0.7)),
            stalls=random.choice((0.0, 0.001, 0.01)),
            stall_seconds=random.choice((0.001, 0.03, 0.3)),
            tick=random.choice((0.0, 1e-5)),
            watches_lines=random.random() < 0.2,
            grid=random.choice((0.0, 0.01, 0.1)),
        )

    def draw_call(self, random: Random) -> float:
        """The seconds of a layer call: usually about the mean, now and then several times as many."""
        return self.round(self.call_seconds * min(exp(random.gauss(0, 0.4)), 5.0))

    def draw_pause(self, random: Random, mean: float) -> float:
        """Seconds between two actions of a client, often none."""
        return 0.0 if random.random() < 0.3 else self.round(random.expovariate(1) * mean)

    def round(self, seconds: float) -> float:
        """The next multiple of the grid."""
        return ceil(seconds / self.grid) * self.grid if self.grid else seconds

    def classifier(self, backend=None, tokeniser=None):
        """The classifier, with a backend and a tokenizer that may be in trouble; without, the offline reference."""
        config = make_config(self.depths, self.groups, self.labels, self.multi_label)
        points = [(name, spec, min(depth, self.depths)) for name, spec, depth in POINTS]
        if backend is None:
            return make_classifier(config, NumberTokeniser(), TableBackend(config), points, "safe")
        size = {"max_rows": self.max_rows, "max_tokens": self.max_tokens}
        return make_classifier(config, tokeniser, backend, points, "safe", **size)


def draw_settings(random: Random, rows: int, tokens: int) -> Settings:
    """Small limits, so that they are reached."""
    return Settings(
        max_concurrent_requests=random.choice((3, 8, 20, 60)),
        max_batch_tokens=random.choice((tokens, 4 * tokens)),
        max_client_batch_size=random.choice((2, 5)),
        adaptive=random.choice((None, None, "fast")),
        target_delay=0.2,
        shadow=random.choice((0.0, 0.0, 0.3, 1.0)),
        shadow_window=20,
        tokenization_workers=random.randint(1, 3),
        step_limit=random.choice((5.0, 60.0)),
        most_failures=random.randint(1, 3),
        pause=random.choice((0.01, 0.5)),
        shutdown_timeout=random.choice((0.0, 0.3, 3.0)),
    )


def draw_text(random: Random) -> str:
    """Numbers, mostly few; some texts are too long for the model, and some are empty."""
    longest = random.choice((3, 10, MAX_LENGTH, 2 * MAX_LENGTH))
    return " ".join(str(random.randrange(10, VOCABULARY)) for _ in range(random.randint(0, longest)))


def draw_trouble(random: Random, seconds: float) -> Trouble:
    """A fault of any kind, at any time, for up to 20 seconds."""
    begin = random.uniform(0, seconds)
    kind, strength = random.choice(
        (
            ("failing", random.choice((0.05, 0.5))),
            ("failing", 1.0),
            ("slow", random.choice((3.0, 30.0))),
            ("stuck", random.choice((2.0, 12.0))),
            ("tokenizer failing", random.choice((0.3, 1.0))),
            ("tokenizer slow", random.choice((0.1, 2.0))),
        )
    )
    length = random.uniform(0.1, 2.0) if kind in ("stuck", "tokenizer slow") else random.expovariate(1) * 5
    return Trouble(kind, begin, begin + min(length, 20.0), strength)
