"""Warm-up: layer calls of every size before the first request, and settings of the process that shorten pauses.

oneDNN prepares a matrix product for each new number of tokens. That takes longer than the product itself, and every
row in the call waits. There are few sizes (:attr:`Layout.size`), so each can be prepared before the first request. By
default oneDNN keeps only 1,024 products, fewer than these sizes need: a server would prepare them again and again.

Python's garbage collector visits all objects from time to time, the libraries' hundreds of thousands included, and
stops every thread for up to 0.1 s. Objects that exist when the server is ready stay for its whole life, so they are
excluded from collection.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable

from elbert.classifier import Classifier
from elbert.exits import FULL
from elbert.inference import admit, deepen, settle
from elbert.model.isolation import isolated, use_threads
from elbert.model.layout import round_up
from elbert.tokenization import Tokens

PRIMITIVE_CACHE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384"  # read by oneDNN at its first product
ROW_TOKENS = 20  # of the rows in a warm-up call: typical, so that the exit head meets typical numbers of rows


def enlarge_primitive_cache() -> None:
    """Let oneDNN keep all prepared products, unless the environment sets a size; call before the first product."""
    os.environ.setdefault(*PRIMITIVE_CACHE)


def freeze_objects() -> None:
    """Collect garbage, then exclude all objects from collection; for a process that only serves from now on.

    Again after a model was replaced: the objects of the old one were excluded too.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def warm_up(classifier: Classifier, seconds: float, clock: Callable[[], float] = time.monotonic) -> int:
    """Make a layer call of each size, the smallest first, for at most ``seconds``; return the number of calls."""
    if seconds <= 0 or classifier.backend.device.type != "cpu":
        return 0
    (sample,) = classifier.tokeniser.encode(["a"])
    until, calls = clock() + seconds, 0
    with use_threads(classifier.threads), isolated():
        for size in sorted({round_up(tokens) for tokens in range(1, classifier.capacity.tokens + 1)}):
            if clock() >= until:
                break
            _call_layer(classifier, sample, size)
            calls += 1
    return calls


def _call_layer(classifier: Classifier, sample: Tokens, size: int) -> None:
    row_tokens = min(ROW_TOKENS, classifier.tokeniser.max_length)
    full_rows, rest = divmod(size, row_tokens)
    lengths = [row_tokens] * full_rows + [rest] * (rest > 0)
    tokens = [Tokens(sample.ids[:1] * n, [0] * n, False) for n in lengths]
    # remember=True: so that the exit head is computed too
    rows = admit(tokens, range(len(tokens)), classifier.backend, FULL, keep_trace=True)
    settle(deepen(rows, classifier.backend), classifier.backend.config)
