import os
import signal
from pathlib import Path

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script's `make test &` ignores interrupts, and so would the programs that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may need a network
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest  # noqa: E402

DATA = Path(__file__).parents[2] / "shared" / "data"
ABSENT = pytest.StashKey[list[str]]()
FIRST = ("ray", "serving_load", "training", "benchmarks", "simulation", "web", "export", "project", "cli")
"""Folders whose files take minutes: they start first, so that no process works on the last one while others idle."""


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Files stay together, and those of Ray share one process, because they share one cluster."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "tests/ray" if nodeid.startswith("tests/ray/") else super()._split_scope(nodeid)

    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config, items):
    """Long files first; tests marked ``data`` run where the data sets lie beside the repository, else are named."""
    order = {folder: number for number, folder in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(FIRST)))
    if DATA.is_dir():
        return
    absent = [item for item in items if item.get_closest_marker("data")]
    if absent:
        config.hook.pytest_deselected(items=absent)
        config.stash[ABSENT] = sorted({item.nodeid.split("[")[0] for item in absent})
        items[:] = [item for item in items if not item.get_closest_marker("data")]


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # a worker of pytest-xdist
        session.config.workeroutput["absent"] = session.config.stash.get(ABSENT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[ABSENT] = getattr(node, "workeroutput", {}).get("absent", [])


def pytest_terminal_summary(terminalreporter, config):
    for name in config.stash.get(ABSENT, []):
        terminalreporter.write_line(f"NOT RUN {name}: needs the data sets in {DATA.parent.name}/{DATA.name}")


@pytest.fixture(scope="module")
def chrome():
    """The system's browser: one for the tests of a file.

    Playwright keeps an event loop running in its thread, so it must end before other files call ``asyncio.run``.
    """
    from browser import find_chromium, run_browser

    if find_chromium() is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with run_browser() as browser:
        yield browser
