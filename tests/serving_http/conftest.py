import pytest
from live_server import Live


@pytest.fixture(scope="module")
def live():
    with Live() as server:
        yield server


@pytest.fixture(autouse=True)
def everything_is_finished(request):
    """After each test the server that it used has nothing under way."""
    yield
    if "live" in request.fixturenames:
        from live_server import until

        server = request.getfixturevalue("live")
        server.backend.open.set()
        until(lambda: server.service.info()["under_way"] == 0 == server.service.info()["layer_tokens_under_way"])
