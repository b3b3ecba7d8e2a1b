"""Progress bars for long calls: on terminals and in notebooks, and nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

DELAY = 1.0  # seconds before a bar appears: short calls show none


def is_interactive() -> bool:
    """Whether standard error is read by a person now: a terminal, or a notebook."""
    return bool(sys.stderr is not None and sys.stderr.isatty()) or is_notebook()


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


@contextmanager
def show_progress(description: str, total: int, unit: str = " texts") -> Iterator[Callable[[int], object]]:
    """Show a bar of ``total`` steps on standard error inside the block; the yielded function adds steps."""
    if not is_interactive():
        yield lambda steps: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=description, unit=unit, leave=False, delay=DELAY, dynamic_ncols=True) as bar:
        yield bar.update


def count_each(items: Iterable[Item], advance: Callable[[int], object]) -> Iterator[Item]:
    """Yield items, and count each."""
    for item in items:
        yield item
        advance(1)
