"""A real server in a process of its own, and ways to use it as clients do."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))  # the load generator is the benchmark's

from elbert.cli.commands.serve import FLAGS  # noqa: E402
from serving_peers.openloop import ready  # noqa: E402
from serving_peers.wire import Pool, get  # noqa: E402

SERVE = ("-m", "elbert", "serve")
FLAG_VARIABLES = {flag.variable for flag in FLAGS}
PATIENCE = 60.0  # seconds for what should take a moment; a busy machine may take longer


class Live:
    """A server that runs."""

    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, log

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, *requests):
        """Answers to requests sent one after the other."""

        async def all_of_them():
            pool = Pool(self.port)
            try:
                return [await asyncio.wait_for(pool.ask(request), PATIENCE) for request in requests]
            finally:
                pool.close()

        return asyncio.run(all_of_them())

    def info(self):
        (answer,) = self.ask(get("/info"))
        return json.loads(answer.body)["elbert"]

    def resident(self):
        """Bytes of memory that the process holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def comes_to_rest(self):
        """Whether no request is in progress, now or soon."""
        return eventually(lambda: not any(self.info()[name] for name in ("under_way", "layer_tokens_under_way")))

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def ended(self):
        """The exit status."""
        return self.process.wait(PATIENCE)


@contextmanager
def serving(*flags, program=SERVE, port=None, log=None, path="/ready"):
    """A server with these flags on a free port, ready; killed at the end if it still runs."""
    port = free_port() if port is None else port
    environment = {name: value for name, value in os.environ.items() if name not in FLAG_VARIABLES}
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "WARM_UP": "0"}  # tests of the warm-up set it
    command = [sys.executable, *program, *map(str, flags), "--hostname", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log or subprocess.DEVNULL
    ) as process:
        try:
            asyncio.run(awake(process, port, path))
            yield Live(process, port, log)
        finally:
            if process.poll() is None:
                process.kill()


async def awake(process, port, path):
    waiting = asyncio.ensure_future(ready(port, path))
    while not waiting.done():
        assert process.poll() is None, f"the server ended with status {process.returncode}"
        await asyncio.wait([waiting], timeout=0.1)
    waiting.result()


def free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def eventually(true, patience=PATIENCE):
    """Whether something comes true."""
    until = time.monotonic() + patience
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
