"""Warming up: layer calls of every size, before anybody waits for one.

oneDNN prepares a product for each new number of tokens, which takes longer than the product, and everybody in that
call waits. Sizes are few (:attr:`Layout.room`), so they can be met before the first request. But oneDNN remembers only
1,024 products by itself: fewer than these sizes come to, so it forgot each before it came again, and a server, whose
calls are of many sizes, spent most of its time preparing.

And Python's collector looks at every object there is from time to time, the libraries' hundreds of thousands too, while
every thread waits: 0.1 s, and a queue behind it. What is there when a server is ready stays there, so it is left out.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable

import torch

from elbert.classifier import Classifier
from elbert.exits import Full
from elbert.inference import admit, deepen, settle
from elbert.model.cpu import threads
from elbert.model.layout import rounded
from elbert.tokenization import Tokens

REMEMBERED = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384"  # read by oneDNN at its first product
USUAL = 20  # tokens of a row: so the exit head meets the usual numbers of rows too


def remember_sizes() -> None:
    """Let oneDNN keep what it prepares, as much as it needs or the environment says; before its first product."""
    os.environ.setdefault(*REMEMBERED)


def leave_out_what_stays() -> None:
    """Let the collector never look again at what is there now: for a process that serves from now on."""
    gc.collect()
    gc.freeze()


def warm(classifier: Classifier, seconds: float, clock: Callable[[], float] = time.monotonic) -> int:
    """Make a layer call of each size, from the smallest up, for so many seconds at most; how many were made."""
    if seconds <= 0 or classifier.backend.device.type != "cpu":
        return 0
    (harmless,) = classifier.tokeniser.encode(["a"])
    until, made = clock() + seconds, 0
    with threads(classifier.threads), torch.inference_mode():
        for size in sorted({rounded(tokens) for tokens in range(1, classifier.capacity.tokens + 1)}):
            if clock() >= until:
                break
            _call(classifier, harmless, size)
            made += 1
    return made


def _call(classifier: Classifier, harmless: Tokens, size: int) -> None:
    usual = min(USUAL, classifier.tokeniser.max_length)
    whole, rest = divmod(size, usual)
    lengths = [usual] * whole + [rest] * (rest > 0)
    rows = [Tokens(harmless.ids[:1] * n, [0] * n, False) for n in lengths]
    everybody = admit(rows, range(len(rows)), classifier.backend, Full(), remember=True)  # so that the head is read
    settle(deepen(everybody, classifier.backend), classifier.backend.config)
