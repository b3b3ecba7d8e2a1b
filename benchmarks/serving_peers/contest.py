"""The servers of a contest, each with its command, started together and let run one at a time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elbert.cli.commands.serve import FLAGS
from elbert.model.precision import fastest_precision
from serving_peers.openloop import ready

HERE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Contestant:
    """A server: the module that is run and its flags. ``full_depth``: whether every text takes all layers.

    ``choices`` are further flags of which the best is taken, by a look before the contest; none: as it is by itself.
    """

    name: str
    module: tuple[str, ...]
    full_depth: bool
    needs: str | None = None
    choices: tuple[str, ...] = ("",)

    def under(self, choice: str) -> Contestant:
        """The same, with its mind made up."""
        return replace(self, module=(*self.module, *choice.split()), choices=("",))

    def precision(self, dtype: str) -> str:
        """What it computes in where ours compute in ``dtype``: others have no int8, and take their fastest."""
        is_ours = self.module[:2] == OURS or self.module[:1] == STATIC
        return dtype if is_ours or dtype != "int8" else fastest_precision(("bfloat16",), "cpu")

    @property
    def missing(self) -> bool:
        """Whether what it needs is not installed."""
        return self.needs is not None and find_spec(self.needs) is None


OURS, STATIC = ("elbert", "serve"), ("serving_peers.static_batches",)  # the second is the first, changed
LITSERVE, PIPELINE = ("serving_peers.litserve_batched",), ("serving_peers.fastapi_pipeline",)
BATCHES = ("--batch 32 --window 0.005", "--batch 64 --window 0.002")
THREADS = ("--threads 1", "--threads 2")
THREADS_AND_BATCHES = tuple(f"{threads} {batches}" for threads in THREADS for batches in BATCHES)
CONTESTANTS = (
    Contestant("elbert, safe", (*OURS, "--operating-point", "safe"), full_depth=False),
    Contestant("elbert, full depth", (*OURS, "--operating-point", "full"), full_depth=True),
    Contestant("static batches, safe", (*STATIC, "--operating-point", "safe"), full_depth=False, choices=BATCHES),
    Contestant("static batches, full depth", (*STATIC, "--operating-point", "full"), full_depth=True, choices=BATCHES),
    Contestant("LitServe, full depth", LITSERVE, full_depth=True, needs="litserve", choices=THREADS_AND_BATCHES),
    Contestant("FastAPI and pipeline, full depth", PIPELINE, full_depth=True, choices=THREADS),
)


@dataclass
class Running:
    """A server that is there, and sleeps unless :meth:`awake`."""

    contestant: Contestant
    process: subprocess.Popen[bytes]
    port: int

    @contextmanager
    def awake(self) -> Iterator[None]:
        """While inside, it runs; otherwise it takes no processor time from the others."""
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def load(self, texts: Sequence[str], kind: str, *, first: int = 0, **job: Any) -> Any:
        """What the load generator, in a process of its own, reports for a job; see ``serving_peers.openloop``."""
        request = {"port": self.port, "texts": list(texts), "kind": kind, "first": first} | job
        command = [sys.executable, "-m", "serving_peers.openloop"]
        with self.awake():
            done = subprocess.run(
                command, input=json.dumps(request).encode(), capture_output=True, cwd=HERE, check=False
            )
        if done.returncode:
            raise RuntimeError(f"{self.contestant.name}: {done.stderr.decode()[-500:]}")
        return json.loads(done.stdout)


@contextmanager
def running(
    contestants: Sequence[Contestant], folder: Path, dtype: str, threads: int | None = None
) -> Iterator[list[Running]]:
    """All servers, ready and idle; they end with the block. ``threads`` None: each server's own default."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_started(c, folder, dtype, threads)) for c in contestants]
        for server in servers:
            asyncio.run(ready(server.port, "/health"))
        for server in servers:
            with server.awake():
                pass
        yield servers


@contextmanager
def _started(contestant: Contestant, folder: Path, dtype: str, threads: int | None) -> Iterator[Running]:
    port = free_port()
    flags = ["--model", folder, "--port", port, "--dtype", contestant.precision(dtype)]
    flags += [] if threads is None else ["--threads", threads]
    process = subprocess.Popen(
        [sys.executable, "-m", *contestant.module, *map(str, flags)],
        cwd=HERE,
        env=environment(),
        start_new_session=True,  # a group of its own: some have processes of their own
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Running(contestant, process, port)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> Mapping[str, str]:
    """The environment of a server's process, without variables that elbert serve reads as flags."""
    flags = {flag.variable for flag in FLAGS}
    kept = {name: value for name, value in os.environ.items() if name not in flags}
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    return kept | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": path}


def free_port() -> int:
    """A free port."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])
