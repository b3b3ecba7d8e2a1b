"""Who may ask, and what a page may do: loopback names only, and nothing from anywhere else."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.ASCII | re.IGNORECASE)
INSIDE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
NOTHING = "'none'"


class Guard:
    """Answers only whoever calls this machine by a name of its own, and says what the page may do.

    A page from elsewhere can point a name of its own at 127.0.0.1 (DNS rebinding) and read what is served there;
    it cannot hide that name.
    """

    def __init__(self, app: Asgi, html: str) -> None:
        self.app = app
        self.headers = [
            (b"content-security-policy", policy_of(html).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self.headers]
            await send(message)

        if len(hosts) == 1 and LOOPBACK.fullmatch(hosts[0]):
            return await self.app(scope, receive, headed)
        body = b'{"error":"this server answers on this machine only: call it 127.0.0.1 or localhost"}\n'
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await headed({"type": "http.response.start", "status": 403, "headers": headers})
        return await headed({"type": "http.response.body", "body": body})


def policy_of(html: str) -> str:
    """The content security policy of a page: its own scripts and styles by their hashes, answers from here, no more."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for tag, content in INSIDE.findall(html):
        hashes[tag].append(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'")
    return (
        f"default-src 'none'; script-src {' '.join(hashes['script']) or NOTHING}; "
        f"style-src {' '.join(hashes['style']) or NOTHING}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
