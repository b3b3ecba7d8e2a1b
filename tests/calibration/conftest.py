import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """Tiny models are slower on many threads, and much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
