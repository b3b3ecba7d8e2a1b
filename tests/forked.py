"""A function in a forked process: what it checks there fails the test here, and so does waiting without end."""

import os
import signal

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def check_in_child(check):
    """Run ``check`` in a forked child, where it must end without an error within a minute."""
    if (child := os.fork()) == 0:
        status = 1
        try:
            signal.alarm(60)  # a child that waits without end is ended
            check()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
