"""One text's way down: what the exit head says after every depth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.evaluation import Outputs
from elbert.evaluation.cost import flops
from elbert.evaluation.metrics import decided
from elbert.exits import Trace
from elbert.explaining.explanation import AtDepth
from elbert.explaining.rules import finite, signal
from elbert.model import ModelConfig


def steps(outputs: Outputs, looks: NDArray[Any] | None, config: ModelConfig) -> tuple[AtDepth, ...]:
    """What was said of the one text of ``outputs`` at each depth; ``looks [depths, tokens]`` is the attention."""
    trace = Trace.of(outputs.probabilities, multi_label=outputs.multi_label)
    signals = {name: finite(signal(trace, name).tolist()) for name in ("entropy", "confidence", "gap", "divergence")}
    since = same_since(decided(outputs.probabilities, outputs)[0].reshape(config.depths, -1))
    tokens = int(outputs.tokens[0])
    found = []
    for i, scores in enumerate(outputs.probabilities[0].tolist()):
        best = max(range(len(scores)), key=scores.__getitem__)
        said = [c for c, p in enumerate(scores) if p > 0.5] if outputs.multi_label else [best]
        found.append(
            AtDepth(
                depth=i + 1,
                scores=dict(zip(config.labels, scores, strict=True)),
                label=config.labels[best],
                score=scores[best],
                answer=tuple(config.labels[c] for c in said),
                since=since[i],
                entropy=signals["entropy"][i] or 0.0,
                confidence=signals["confidence"][i] or 0.0,
                gap=signals["gap"][i] or 0.0,
                divergence=signals["divergence"][i],
                flops=flops(config, tokens, i + 1),
                attention=None if looks is None else tuple(looks[i].tolist()),
            )
        )
    return tuple(found)


def same_since(answers: NDArray[Any]) -> list[int]:
    """``answers [depths, …]``: for each depth, that from which on the answer has been the same."""
    changed = np.flatnonzero((answers[1:] != answers[:-1]).any(-1)) + 2
    return [int(max((at for at in changed if at <= depth), default=1)) for depth in range(1, len(answers) + 1)]
