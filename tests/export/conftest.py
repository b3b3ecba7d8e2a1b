import urllib.parse

import pytest
from browser_site import QuietHandler, serve_folder

from browser import wait_until


@pytest.fixture
def opened(chrome):
    """Open a folder's page and wait for its model: ``opened(folder, width=…)``; nothing may have gone wrong in it."""
    contexts, wrong, requests, servers = [], [], [], []

    def at(folder, width=1280, height=900, ready=True, server=QuietHandler, **options):
        server = serve_folder(folder, server)
        address = server.__enter__()
        servers.append(server)
        context = chrome.new_context(
            viewport={"width": width, "height": height}, **{"reduced_motion": "reduce", **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        context.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        if ready:
            wait_until(page, "!document.getElementById('classify').disabled", 60)
        return page

    at.requests, at.wrong = requests, wrong
    yield at
    for context in contexts:
        context.close()
    for server in servers:
        server.__exit__(None, None, None)
    assert not wrong
    assert {urllib.parse.urlsplit(url).hostname for url in requests if url.startswith("http")} <= {"127.0.0.1"}
