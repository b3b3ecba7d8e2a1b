"""Variants that run under an emulator of another processor: the same C, called through a program of its own.

``NativeLayer`` packs the weights and makes the structs as always. Only the call differs: the memory that the structs
refer to is written to a file, the driver maps the file where the structs expect it, and the result is read from it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hatch_build
import pytest

from elbert.model.native import NativeLayer, Variant
from elbert.model.native.bindings import NO_MEMORY, LayerStruct

DRIVER = Path(__file__).with_name("driver.c")
ADDRESS = 0x1000000000  # as in driver.c
WORD = 8
CALL_WORDS = 11
FAMILIES = {"aarch64": ("qemu-aarch64", "aarch64-linux-musl"), "x86_64": ("qemu-x86_64", "x86_64-linux-musl")}


@cache
def program(machine: str) -> Path:
    """The driver with every variant of a processor family inside, in one file without libraries."""
    emulator, target = FAMILIES[machine]
    if shutil.which(emulator) is None:
        pytest.skip(f"needs {emulator}: Debian's package qemu-user")
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs a compiler for other processors: pip install ziglang (make slow installs it)")
    if platform.system() != "Linux":
        pytest.skip("qemu-user runs on Linux")
    folder = Path(tempfile.mkdtemp(prefix="elbert-emulation-"))
    toolchain = hatch_build.choose_toolchain(target)
    objects = toolchain.compile(folder)
    flags = ["-static", "-O1", f"-I{hatch_build.SOURCE}"]
    hatch_build.run([*toolchain.command, *flags, str(DRIVER), *map(str, objects), "-o", str(folder / "driver"), "-lm"])
    return folder / "driver"


def emulated(machine: str, model: str) -> list[str]:
    """The command that runs the driver on a model of a processor."""
    return [FAMILIES[machine][0], "-cpu", model, str(program(machine))]


def run(command: Sequence[str]) -> str:
    """Run the driver; return what it prints. A signal (an illegal instruction) and an exit status fail the test."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: status {done.returncode}, {done.stderr.strip()[-500:]}"
    return done.stdout


def variants(machine: str, model: str) -> dict[str, tuple[bool, int, bool]]:
    """The library's variants on a model of a processor: whether it runs, ``zero``, ``halves``."""
    lines = [line.split() for line in run(emulated(machine, model)).splitlines()]
    return {name: (runs == "1", int(zero), halves == "1") for name, runs, zero, halves in lines}


def emulated_variant(machine: str, model: str, name: str) -> Variant:
    """A variant whose calls run under the emulator."""
    _, zero, halves = variants(machine, model)[name]
    return Variant(name, zero, halves, None)


def build_emulated(build: Any, machine: str, model: str, name: str, *arguments: Any) -> NativeLayer:
    """A layer of that variant: ``build`` is that of ``native_layers``."""
    layer: NativeLayer = build(emulated_variant(machine, model, name), *arguments)
    layer._run = Call(layer, [*emulated(machine, model), name])
    return layer


class Call:
    """What the layer calls instead of the library's function."""

    def __init__(self, layer: NativeLayer, command: list[str]) -> None:
        self._layer, self._command = layer, command

    def __call__(
        self,
        struct: Any,
        hidden: int,
        out: int,
        bounds: int,
        rows: int,
        tokens: int,
        threads: int,
        scratch: int,
        scratch_bytes: int,
        needed: Any,
    ) -> int:
        """Run the call in the emulator; ``out`` and ``needed`` are set as the library sets them."""
        size = tokens * self._layer.width * self._layer.dtype.itemsize
        image = Image()
        for kept in self._layer._kept:
            image.add(kept.data_ptr(), kept.numel())
        for address, length in ((hidden, size), (out, size), (bounds, WORD * (rows + 1)), (scratch, scratch_bytes)):
            image.add(address, length)
        moved = image.append(image.moved(bytes(self._layer._struct)))
        words = [moved, image.place(hidden), image.place(out), image.place(bounds), rows, tokens, threads]
        call = image.append(bytes((ctypes.c_int64 * CALL_WORDS)(*words, image.place(scratch), scratch_bytes)))
        with tempfile.NamedTemporaryFile() as file:
            file.write(image.content)
            file.flush()
            run([*self._command, file.name, str(call - ADDRESS)])
            result = Path(file.name).read_bytes()
        *_, needs, code = (ctypes.c_int64 * CALL_WORDS).from_buffer_copy(result, call - ADDRESS)
        needed._obj.value = needs
        if code != NO_MEMORY and size:
            ctypes.memmove(out, result[image.place(out) - ADDRESS :][:size], size)
        return int(code)


class Image:
    """Pieces of this process's memory, one after the other, for a file that is mapped at :data:`ADDRESS`."""

    def __init__(self) -> None:
        self.content = bytearray(WORD)  # no piece is at the beginning
        self._pieces: list[tuple[int, int, int]] = []

    def add(self, address: int, size: int) -> None:
        """Copy a piece; its address keeps its place within 64 bytes, because C asks for aligned memory."""
        if size:
            self.content += bytes((address - len(self.content)) % 64)
            self._pieces.append((address, size, ADDRESS + len(self.content)))
            self.content += ctypes.string_at(address, size)

    def append(self, content: bytes) -> int:
        """Add bytes that are not in memory; return their address."""
        self.content += bytes(-len(self.content) % 64)
        place = ADDRESS + len(self.content)
        self.content += content
        return place

    def place(self, address: int) -> int:
        """The address in the mapped file of an address in this process; what is in no piece stays as it is."""
        for begin, size, place in self._pieces:
            if begin <= address < begin + size:
                return place + address - begin
        return address

    def moved(self, struct: bytes) -> bytes:
        """A struct of words whose addresses are those of the mapped file."""
        words = (ctypes.c_int64 * (len(struct) // WORD)).from_buffer_copy(struct)
        return bytes((ctypes.c_int64 * len(words))(*map(self.place, words)))


assert ctypes.sizeof(LayerStruct) % WORD == 0
