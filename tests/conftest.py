import os
import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script's `make test &` ignores interrupts, and so would the programs that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may need a network
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def _quiet_transformers():
    """Progress bars of transformers write to standard error, which some tests read."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    return


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory):
    from tiny import write_bundle

    return write_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def chrome():
    """The system's browser: one for all tests of a process, because Playwright runs once in a thread at a time."""
    from browser import find_chromium, run_browser

    if find_chromium() is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with run_browser() as browser:
        yield browser
