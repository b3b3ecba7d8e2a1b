import pytest
import torch

from tiny_encoders import FAMILIES, write_encoder


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tiny models gain nothing from a second thread, and lose much where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="session")
def folder(family, tmp_path_factory):
    """One tiny classifier of the family, which no test changes."""
    return write_encoder(tmp_path_factory.mktemp("encoders") / family, family, seed=1)
