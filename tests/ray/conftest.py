"""One small cluster on this machine, for all tests here."""

import gc
import logging
import os
import sys
import warnings
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "serving_http"))  # its tests run against a deployment too

# Ray leaves sockets, files and processes to the garbage collector when it is shut down, and warns of itself.
RAYS_OWN = (
    "ignore:unclosed:ResourceWarning",
    "ignore:subprocess .* is still running:ResourceWarning",
    "ignore:`use_.*` is deprecated:DeprecationWarning",
    "ignore:.*In future versions of Ray:FutureWarning",
    "ignore:Exception ignored in.*socket:pytest.PytestUnraisableExceptionWarning",
    "ignore:The minimum number of concurrent actors:UserWarning",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            for rule in RAYS_OWN:
                item.add_marker(pytest.mark.filterwarnings(rule))


@pytest.fixture(scope="package", autouse=True)
def loaded():
    """Ray and the packages that it brings, which say much of each other when they are loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray.data
        import ray.serve

        ray.data.DataContext.get_current()
    return ray


@pytest.fixture(scope="package")
def cluster(loaded):
    """Two processors' worth of a cluster, which reports nothing to the Ray project."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"] = (
        "60"  # after 5 s a proxy is killed: too soon on a busy machine
    )
    loaded.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield loaded
    loaded.shutdown()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # here, and not in a later test
