"""A server with a memory leak: the positive control of the leak detector. Takes the flags of ``elbert serve``."""

import sys

from elbert.cli.main import main
from elbert.serving.dispatcher import Dispatcher

LEAKED_BYTES = 4096  # per text, besides the row itself


def leaking(deliver, leaked):
    def deliver_and_keep(self, row, *arguments, **options):
        leaked.append((row, bytearray(LEAKED_BYTES)))
        return deliver(self, row, *arguments, **options)

    return deliver_and_keep


if __name__ == "__main__":
    Dispatcher._deliver = leaking(Dispatcher._deliver, [])
    sys.exit(main(["serve", *sys.argv[1:]]))
