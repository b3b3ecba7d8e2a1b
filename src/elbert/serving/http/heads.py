"""Heads of requests: where one ends in what has arrived, within bounds, and how it is handed to the parser."""

from __future__ import annotations

import re

from elbert.serving.http.errors import ApiError

MAX_HEAD = 65_536  # bytes of a request line and its headers
MAX_FIELDS = 256  # headers of a request; each costs a hundred times the bytes of the shortest one

END = b"\r\n\r\n"
NO_HTTP = "expected a request of HTTP/1.1, without TLS"
RETURN = ord("\r")
_BLANK_LINES = re.compile(rb"(?:\r\n)*")
_REQUEST_LINE = re.compile(rb"\r?\Z|[A-Z-]{1,24}(?: |\Z)")  # its beginning
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_UPGRADE = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)


class HeadScanner:
    """Finds the end of each head of a connection; no byte is searched twice."""

    def __init__(self) -> None:
        self._searched = 0  # bytes of a head without its end
        self._blank = 0  # bytes of blank lines before it

    def find_end(self, data: bytes | bytearray, start: int) -> int:
        """Return where a head ends that begins at ``start``, or ``start`` if it is incomplete.

        Raises:
            ApiError: it is too large, or it cannot become a request.
        """
        found = data.find(END, start + max(0, self._searched - len(END) + 1))
        size = (len(data) if found < 0 else found + len(END)) - start
        if size > MAX_HEAD:
            raise ApiError(
                "HeaderTooLarge", f"the request line and its headers are larger than {MAX_HEAD:,} bytes; send less"
            )
        if found >= 0:
            self._searched = self._blank = 0
            return start + size
        # What can become no request is not waited for: TLS, other protocols, other line ends.
        if not _REQUEST_LINE.match(data, start) or _BARE_LINE_FEED.search(data, start + self._searched):
            raise ApiError("Malformed", NO_HTTP)
        self._searched = size
        return start

    def skip_blank_lines(self, data: bytes | bytearray, start: int) -> int:
        """Return where a head begins; clients may send blank lines before it.

        Raises:
            ApiError: there are nothing but blank lines.
        """
        found = _BLANK_LINES.match(data, start)
        begin = start if found is None else found.end()
        self._blank += begin - start
        if self._blank > MAX_HEAD:
            raise ApiError("Malformed", "got blank lines, expected a request of HTTP/1.1")
        return begin


def prepare_head(head: bytes | bytearray) -> bytes:
    """Return a head as it is parsed: an offer to change the protocol is ignored, not answered.

    The parser would take the body of such a request for the other protocol, and lose it.

    Raises:
        ApiError: it has too many headers.
    """
    if head.count(b"\n") > MAX_FIELDS + 2:
        raise ApiError("HeaderTooLarge", f"more than {MAX_FIELDS} headers; send fewer")
    return _UPGRADE.sub(b"\r\nx-upgrade", head) if b"pgrade" in head.lower() else bytes(head)
