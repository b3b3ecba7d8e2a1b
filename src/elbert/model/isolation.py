"""Isolation: our computation gives the same results whatever the caller has set in torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from elbert.model.cpu import use_threads

AUTOCAST_DEVICES = ("cpu", "cuda")


@contextmanager
def isolated() -> Iterator[None]:
    """Compute without gradients and without autocast inside the block, and alone where a fork ended the threads.

    Tensors have explicit devices and types, so torch's default device and default type need no change here.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        for device in AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(use_threads(None))
        yield


@contextmanager
def isolated_loading() -> Iterator[None]:
    """:func:`isolated`, for code that also calls libraries, whose tensors are on torch's default device."""
    with isolated(), torch.device("cpu"):
        yield
