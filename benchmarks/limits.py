"""What this processor can do at most: the rates of its multiply instructions, and of reading memory.

    python benchmarks/limits.py

Loops of one instruction each (limits.c), compiled for this very processor with the compiler of the build, on one core
and on all at once; the best of several tries. The share of a limit that a model reaches is its own arithmetic divided
by time and rate: four products of the layer and attention's two, no padding, no norm, no embedding.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from elbert.cli.commands.env import collect_facts
from elbert.model import ModelConfig
from machine import add_processor_option, keep

ROOT = Path(__file__).parents[1]
SECONDS = 0.2  # of one try
TRIES = 5
RATES = {
    "float32": ("multiply_float32",),
    "bfloat16": ("multiply_bfloat16", "tiles_bfloat16"),
    "int8": ("multiply_int8", "tiles_int8"),
}
READS = {"cache": 8 << 20, "memory": 256 << 20}  # bytes: about a layer's weights, and more than any cache
BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}  # of a weight
Loop = Callable[[int], int]


def compile_loops(folder: Path) -> ctypes.CDLL:
    """The loops as a library for this processor."""
    sys.path.insert(0, str(ROOT))
    from hatch_build import find_compiler

    library = folder / "limits.so"
    command = [*find_compiler(), "-O3", "-march=native", "-shared", "-fPIC", str(ROOT / "benchmarks" / "limits.c")]
    subprocess.run([*command, "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def rate(loop: Loop, threads: int) -> float:
    """Operations (or bytes) a second of one copy of a loop or ``threads`` that run at once; 0 where it cannot run.

    One is faster where cores share a unit, as some virtual ones share AMX.
    """
    if not loop(1):
        return 0.0
    loops = 1
    while (taken := timed(loop, loops, 1)[0]) < SECONDS / 4:
        loops *= 4
    loops = max(1, int(loops * SECONDS / taken))
    tries = [timed(loop, loops, at_once) for _ in range(TRIES) for at_once in {1, threads}]
    return max(done / seconds for seconds, done in tries)


def timed(loop: Loop, loops: int, threads: int) -> tuple[float, int]:
    """Seconds, and what was done in them."""
    done = [0] * threads

    def work(number: int) -> None:
        done[number] = loop(loops)

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    begin = time.perf_counter()
    for each in running:
        each.start()
    for each in running:
        each.join()
    return time.perf_counter() - begin, sum(done)


def measure_limits(threads: int | None = None) -> dict[str, float]:
    """Operations a second for each precision, by the faster of vector and tile instructions; bytes a second of reading.

    A precision that the processor cannot multiply in is left out; a product in it runs as float32.
    """
    threads = threads or collect_facts()["torch threads"]
    with tempfile.TemporaryDirectory() as folder:
        library = compile_loops(Path(folder))
        found = {}
        for precision, names in RATES.items():
            for name in names:
                loop = getattr(library, name)
                loop.argtypes, loop.restype = [ctypes.c_long], ctypes.c_long
                found[precision] = max(found.get(precision, 0.0), rate(loop, threads))
        library.read_floats.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t]
        library.read_floats.restype = ctypes.c_long
        for name, size in READS.items():
            data = np.ones(size // 4, np.float32)
            found[name] = rate(
                lambda loops, data=data: library.read_floats(loops, data.ctypes.data, data.size), threads
            )
    return {name: value for name, value in found.items() if value}


def operations(config: ModelConfig, tokens: int, depths: int | None = None) -> int:
    """Multiplications and additions of a text of so many tokens at full depth, or at ``depths``."""
    width, inner = config.hidden_size, config.intermediate_size
    products = 2 * tokens * (4 * width * width + 2 * width * inner)
    attention = 4 * tokens * tokens * width
    return (config.depths if depths is None else depths) * (products + attention)


def weights_read(config: ModelConfig, precision: str) -> int:
    """Bytes of the layer's weights that a call at full depth reads, once for each depth, however few its tokens."""
    width, inner = config.hidden_size, config.intermediate_size
    return config.depths * (4 * width * width + 2 * width * inner) * BYTES[precision]


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_processor_option(parser)
    arguments = parser.parse_args()
    found: dict[str, Any] = measure_limits()
    for name, value in found.items():
        print(f"{name:<9} {value / 1e9:9.1f} {'GB/s' if name in READS else 'GFLOP/s'}")
    print(f"kept in {keep('_'.join(filter(None, ('limits', arguments.processor))), found)}")


if __name__ == "__main__":
    main()
