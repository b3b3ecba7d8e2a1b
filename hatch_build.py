"""Build hook: compiles the native library into the package, for this machine or for the target of a wheel.

``ELBERT_BUILD`` in the environment: ``auto`` (default: without a compiler the package is pure and says so), ``native``
(a failure is an error), ``pure``. ``CC`` is the compiler (default: cc, gcc, clang, or ziglang's, the first that works).
``ELBERT_TARGET`` is a target of ``zig cc``, with the tag of its wheel: ``x86_64-linux-gnu.2.28=manylinux_2_28_x86_64``.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "src" / "elbert" / "model" / "native"
LIBRARY = "elbert_native.bin"  # no ending of Python's own modules: it is loaded by ctypes, not imported
BASE = ["-O3", "-fPIC", "-fno-math-errno", "-fno-strict-aliasing", "-fvisibility=hidden", "-std=gnu11"]
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]
VNNI = [*AVX512, "-mavx512vnni"]
BF16 = [*VNNI, "-mavx512bf16"]
VARIANTS = {  # the instruction sets of each object file; names and tests of the processor are in dispatch.c
    "x86_64": {
        "avx2": AVX2,
        "avx2_vnni": [*AVX2, "-mavxvnni"],
        "avx512": AVX512,
        "avx512_vnni": VNNI,
        "avx512_bf16": BF16,
        "amx": [*BF16, "-mamx-tile", "-mamx-bf16", "-mamx-int8"],
    },
    "aarch64": {
        "neon": [],
        "neon_dot": ["-march=armv8.2-a+dotprod"],
        "neon_bf16": ["-march=armv8.2-a+dotprod+bf16"],
    },
}
ZIG_ARM = {"neon": [], "neon_dot": ["-mcpu=generic+dotprod"], "neon_bf16": ["-mcpu=generic+dotprod+bf16"]}


class CannotBuild(Exception):
    """The library cannot be compiled; the message is the reason in one line."""


def find_compiler() -> list[str]:
    """The command of a C compiler that works.

    Raises:
        CannotBuild: there is none.
    """
    if named := os.environ.get("CC", "").strip():
        return shlex.split(named)
    if not os.environ.get("ELBERT_TARGET"):
        for name in ("cc", "gcc", "clang"):
            if shutil.which(name):
                return [name]
    try:
        import ziglang  # noqa: F401
    except ImportError as error:
        raise CannotBuild("no C compiler: none of cc, gcc, clang is installed, nor the package ziglang") from error
    return [sys.executable, "-m", "ziglang", "cc"]


def compile_library(folder: Path, target: str | None = None) -> Path:
    """Compile all variants of a processor family and link them into ``folder``; return the library.

    Raises:
        CannotBuild: there is no compiler, or it fails; the processor family has no variants.
    """
    compiler = find_compiler()
    is_zig = "ziglang" in compiler or "zig" in Path(compiler[0]).name
    machine = target.partition("-")[0] if target else platform.machine()
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if machine not in VARIANTS:
        raise CannotBuild(f"no native code for {machine} processors")
    system = sys.platform
    if target:
        system = "win32" if "windows" in target else "darwin" if "macos" in target else "linux"
        compiler = [*compiler, "-target", target]
    library = folder / LIBRARY
    flags = BASE if system != "win32" else [flag for flag in BASE if flag != "-fPIC"]
    with tempfile.TemporaryDirectory() as temporary:
        commands = {}
        for name, sets in VARIANTS[machine].items():
            sets = ZIG_ARM[name] if is_zig and machine == "aarch64" else sets
            commands[name] = [*sets, f"-DVARIANT={name}", "-c", str(SOURCE / "layer.c")]
        commands |= {name: ["-c", str(SOURCE / f"{name}.c")] for name in ("pool", "dispatch")}
        objects = [f"{temporary}/{name}.o" for name in commands]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(
                run,
                (
                    [*compiler, *flags, *command, "-o", file]
                    for command, file in zip(commands.values(), objects, strict=True)
                ),
            ):
                pass
        built = Path(temporary) / library.name
        threads = [] if system == "darwin" else ["-pthread"]
        maths = [] if system == "win32" else ["-lm"]
        run([*compiler, "-shared", "-s", *objects, "-o", str(built), *threads, *maths])
        partial = library.with_name(f".{library.name}.{os.getpid()}.partial")
        shutil.copyfile(built, partial)
        partial.replace(library)
    return library


def run(command: list[str]) -> None:
    """Run a compiler command.

    Raises:
        CannotBuild: it fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(f"{command[0]} does not run: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no reason reported")
        raise CannotBuild(f"{Path(command[0]).name} failed: {reason}")


def wheel_tag(target_tag: str | None) -> str:
    """The wheel's tag: no Python ABI is used, only the platform."""
    return f"py3-none-{target_tag or sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, without the build system
    BuildHookInterface = object  # type: ignore[assignment, misc]


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Compiles the library before a wheel, editable or not, is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add the library and the tag to the wheel."""
        del version
        mode = os.environ.get("ELBERT_BUILD", "auto")
        for old in SOURCE.glob("elbert_native.*"):
            old.unlink()
        if self.target_name != "wheel" or mode == "pure":
            return
        target, _, tag = os.environ.get("ELBERT_TARGET", "").partition("=")
        try:
            library = compile_library(SOURCE, target or None)
        except CannotBuild as error:
            if mode == "native":
                raise
            self.app.display_warning(f"elbert runs without native code, on torch alone: {error}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = wheel_tag(tag or None)
        build_data["artifacts"].append(f"/src/elbert/model/native/{library.name}")


if __name__ == "__main__":  # python hatch_build.py: compile into the source tree
    sys.stdout.write(f"{compile_library(SOURCE, os.environ.get('ELBERT_TARGET', '').partition('=')[0] or None)}\n")
