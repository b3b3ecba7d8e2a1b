"""Variants that run under an emulator of another processor: the same C, called through a program of its own.

Weights are packed and structs are made as always. Only the call differs: the memory that the structs refer to is
written to a file, the driver maps the file and makes the call, and what it has written is read from the file.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import hatch_build
import numpy as np
import pytest
from torch import Tensor

from elbert.model.native import Live, NativePolicy, Variant
from elbert.model.native.packing import Packed

DRIVER = Path(__file__).with_name("driver.c")
ADDRESS = 0x1000000000  # as in driver.c
WORD = 8
STEP, EMBED, ARGUMENTS = 0, 1, 14  # as in driver.c
FAMILIES = {  # what runs the driver, Debian's package for it, the driver's target
    "aarch64": ("qemu-aarch64", "qemu-user", "aarch64-linux-musl"),
    "x86_64": ("qemu-x86_64", "qemu-user", "x86_64-linux-musl"),
    "windows": ("wine", "wine", "x86_64-windows-gnu"),
}


@cache
def program(machine: str) -> Path:
    """The driver with every variant of a processor family inside, in one file without libraries."""
    target = FAMILIES[machine][2]
    check_emulator(machine)
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs a compiler for other processors: pip install ziglang (make slow installs it)")
    folder = make_folder()
    toolchain = hatch_build.choose_toolchain(target)
    objects = toolchain.compile(folder)
    flags = ["-static", "-pthread", "-O1", f"-I{hatch_build.SOURCE}"]
    file = folder / "driver.exe"
    hatch_build.run([*toolchain.command, *flags, str(DRIVER), *map(str, objects), "-o", str(file)])
    return file


def make_folder() -> Path:
    """A folder that is removed when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="elbert-emulation-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def check_emulator(machine: str) -> None:
    """Skip the test where nothing runs programs of that family."""
    emulator, package, _ = FAMILIES[machine]
    if platform.system() != "Linux" or shutil.which(emulator) is None:
        pytest.skip(f"needs {emulator}: Debian's package {package}")
    if machine == "windows" and platform.machine() != "x86_64":
        pytest.skip("wine runs programs for this machine's processor only")


def emulated(machine: str, model: str, file: Path | None = None) -> list[str]:
    """The command that runs a program, or the driver, on a model of a processor; Windows has this machine's."""
    check_emulator(machine)
    chosen = [] if machine == "windows" else ["-cpu", model]
    return [FAMILIES[machine][0], *chosen, str(file or program(machine))]


@cache
def environment() -> dict[str, str]:
    """Wine's settings and files in a folder of their own."""
    return os.environ | {"WINEPREFIX": str(make_folder()), "WINEDEBUG": "-all"}


def run(command: Sequence[str]) -> str:
    """Run the driver; return what it prints. A signal (an illegal instruction) and an exit status fail the test."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment(), check=False)
    assert done.returncode == 0, f"{' '.join(command)}: status {done.returncode}, {done.stderr.strip()[-500:]}"
    return done.stdout


def variants(machine: str, model: str) -> dict[str, tuple[bool, int, bool]]:
    """The library's variants on a model of a processor: whether it runs, ``zero``, ``halves``."""
    lines = [line.split() for line in run(emulated(machine, model)).splitlines()]
    return {name: (runs == "1", int(zero), halves == "1") for name, runs, zero, halves in lines}


def emulated_variant(machine: str, model: str, name: str) -> Variant:
    """A variant whose calls run under the emulator."""
    _, zero, halves = variants(machine, model)[name]
    command = [*emulated(machine, model), name]
    return Variant(name, zero, halves, partial(call, command, STEP), partial(call, command, EMBED))


def call(command: list[str], function: int, *arguments: Any) -> int:
    """Make a call in the emulator; memory that it writes to is written here."""
    *values, scratch, scratch_bytes, needed = arguments
    image = Image()
    for part in parts_of(values):
        image.add_object(part)
    for address, size in (step_places if function == STEP else embed_places)(*values):
        image.add(address, size)
    image.add(scratch, scratch_bytes, is_empty=True)
    image.add_object(needed._obj)
    words = [image.word(value) for value in (*values, scratch, scratch_bytes, needed)]
    place = image.append((ctypes.c_int64 * (2 + ARGUMENTS))(function, -1, *words))
    image.relocate()
    with tempfile.NamedTemporaryFile() as file:
        file.write(image.content)
        file.flush()
        run([*command, file.name, str(place)])
        image.write_back(Path(file.name).read_bytes())
    return int(ctypes.c_int64.from_buffer_copy(image.content, place + WORD).value)


def parts_of(arguments: Sequence[Any]) -> list[Any]:
    """The objects whose structs are arguments, and all policies: they keep the memory that the structs refer to."""
    structs = {id(each) for each in arguments if isinstance(each, ctypes.Structure)}
    found = []
    for each in gc.get_objects():
        kind = type(each)  # not isinstance, for which some objects run code
        if issubclass(kind, NativePolicy):
            found.append(each)
        elif issubclass(kind, (Packed, Live)):
            found += [each] if {id(value) for value in vars(each).values()} & structs else []
    return found


def step_places(
    layer: Any,
    head: Any,
    live: Any,
    logits: int,
    hidden: int,
    out: int,
    bounds: int,
    rows: int,
    tokens: int,
    size: int,
    *_: Any,
) -> Iterator[tuple[int | None, int]]:
    """Addresses that a step has as arguments, and how many bytes are there."""
    row = (layer or head).width * (2 if (layer or head).half else 4)
    yield from ((hidden, size * row), (out, size * row), (bounds, WORD * (rows + 1)))
    yield logits, rows * head.classes * 4 if head else 0


def embed_places(
    embedding: Any, ids: int, types: int, out: int, bounds: int, rows: int, tokens: int, size: int, *_: Any
) -> Iterator[tuple[int | None, int]]:
    """Addresses that the embedding has as arguments, and how many bytes are there."""
    yield from ((ids, WORD * tokens), (types, WORD * tokens), (bounds, WORD * (rows + 1)))
    yield out, size * embedding.width * (2 if embedding.half else 4)


class Image:
    """Pieces of this process's memory, one after the other, for a file that is mapped at :data:`ADDRESS`."""

    def __init__(self) -> None:
        self.content = bytearray(WORD)  # no piece is at the beginning
        self._pieces: list[tuple[int, int, int]] = []  # address here, bytes, offset
        self._tables: list[tuple[int, int]] = []  # offsets and bytes of what holds addresses

    def add(self, address: int | None, size: int, *, is_empty: bool = False, has_addresses: bool = False) -> None:
        """Copy a piece; its address keeps its place within 64 bytes, because C needs aligned memory."""
        if not size or not address or self._find(address) is not None:
            return
        self.content += bytes((address - len(self.content)) % 64)
        self._pieces.append((address, size, len(self.content)))
        if has_addresses:
            self._tables.append((len(self.content), size))
        self.content += bytes(size) if is_empty else ctypes.string_at(address, size)

    def add_object(self, each: Any) -> None:
        """Copy what an object keeps: tensors, arrays, structs, and those of the objects that it has."""
        if isinstance(each, Tensor):
            self.add(each.data_ptr(), each.nbytes)
        elif isinstance(each, np.ndarray):
            self.add(each.ctypes.data, each.nbytes, has_addresses=each.dtype == np.int64)
        elif isinstance(each, (ctypes.Structure, ctypes.c_int64)):
            self.add(ctypes.addressof(each), ctypes.sizeof(each), has_addresses=isinstance(each, ctypes.Structure))
        elif isinstance(each, (list, tuple)):
            for one in each:
                self.add_object(one)
        elif isinstance(each, (Packed, Live, NativePolicy)):
            for one in vars(each).values():
                self.add_object(one)

    def append(self, content: Any) -> int:
        """Add bytes that are in no piece; return their offset."""
        self.content += bytes(-len(self.content) % 64)
        place = len(self.content)
        self.content += bytes(content)
        return place

    def word(self, value: Any) -> int:
        """An argument as the driver passes it."""
        if isinstance(value, ctypes.Structure):
            value = ctypes.addressof(value)
        elif hasattr(value, "_obj"):
            value = ctypes.addressof(value._obj)
        return self.moved(value or 0)

    def moved(self, address: int) -> int:
        """The address in the mapped file of an address in this process; a number that is none stays as it is."""
        offset = self._find(address)
        return address if offset is None else ADDRESS + offset

    def relocate(self) -> None:
        """Make the addresses in the pieces those of the mapped file."""
        for begin, size in self._tables:
            words = (ctypes.c_int64 * (size // WORD)).from_buffer(self.content, begin)
            words[:] = [self.moved(word) for word in words]

    def write_back(self, result: bytes) -> None:
        """Write to this process's memory what the call has changed."""
        for address, size, offset in self._pieces:
            before, after = self.content[offset : offset + size], result[offset : offset + size]
            if before == after:
                continue
            for begin, end in (
                pairwise([*range(0, size, WORD), size]) if (offset, size) in self._tables else [(0, size)]
            ):
                if before[begin:end] != after[begin:end]:
                    ctypes.memmove(address + begin, after[begin:end], end - begin)
        self.content = bytearray(result)

    def _find(self, address: int) -> int | None:
        for begin, size, offset in self._pieces:
            if begin <= address < begin + size:
                return offset + address - begin
        return None
