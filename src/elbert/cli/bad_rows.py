"""Bad rows of a data file: told as they come, counted at the end; nothing is dropped in silence."""

from __future__ import annotations

import sys

from elbert.errors import BadRow


class BadRows:
    """The rows that ``--skip-bad`` passed over."""

    def __init__(self) -> None:
        self.count = 0

    def skip(self, row: BadRow) -> None:
        """Tell of one, and count it."""
        self.count += 1
        sys.stderr.write(f"elbert: skipped {row}\n")

    def tell(self, rest: str) -> None:
        """The total, if there was any; ``rest`` says what became of the others."""
        if self.count:
            sys.stderr.write(f"elbert: {self.count} bad rows skipped, {rest}\n")
