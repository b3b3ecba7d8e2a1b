"""Count the modules of elbert that one text enters.

Counts the modules whose functions are called from ``Classifier.predict`` of one text to its ``Prediction``, with the
model loaded. Imports do not count. Run it with ``python benchmarks/modules_crossed.py``.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import elbert

ROOT = Path(elbert.__file__).parent


@contextmanager
def record_modules() -> Iterator[set[str]]:
    """Collect the files, relative to the package, whose functions run inside, in this thread and its threads."""
    entered: set[str] = set()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>" and frame.f_code.co_filename.startswith(str(ROOT)):
            entered.add(str(Path(frame.f_code.co_filename).relative_to(ROOT)))

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield entered
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def count_for_one_text() -> list[str]:
    """The modules that one text enters, from ``predict`` to its prediction."""
    classifier = elbert.Classifier.load()
    classifier.predict(["warm up"])
    with record_modules() as entered:
        classifier.predict(["A charming and often affecting journey."])
    return sorted(entered)


if __name__ == "__main__":
    modules = count_for_one_text()
    print(f"one text: {len(modules)}", *modules, sep="\n  ")
