"""Build hook: compiles the native library into the package, for this machine or for the target of a wheel.

``ELBERT_BUILD`` in the environment: ``auto`` (default: without a compiler the package is pure, and the build prints
why), ``native`` (a failure is an error), ``pure``. ``CC`` is the compiler (default: cc, gcc, clang, or ziglang's, the
first that is installed; the build requires ziglang where there is no other). ``ELBERT_TARGET`` is one of ``TARGETS``,
or another target of ``zig cc`` with the tag of its wheel: ``x86_64-linux-musl=musllinux_1_2_x86_64``.
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
from typing import Any, NamedTuple

SOURCE = Path(__file__).parent / "src" / "elbert" / "model" / "native"
PACKAGE = "elbert/model/native"
LIBRARY = "elbert_native.bin"  # no ending of Python's own modules: it is loaded by ctypes, not imported
PER_VARIANT = "layer.c"  # compiled for every instruction set; other files once, for the oldest processor
BASE = ["-O3", "-fPIC", "-fno-math-errno", "-fno-strict-aliasing", "-fvisibility=hidden", "-std=gnu11"]
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
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
TARGETS = {  # the wheels of a release: targets of `zig cc`, and the wheels' tags
    "x86_64-linux-gnu.2.28": "manylinux_2_28_x86_64",
    "aarch64-linux-gnu.2.28": "manylinux_2_28_aarch64",
    "aarch64-macos.11.0": "macosx_11_0_arm64",
    "x86_64-windows-gnu": "win_amd64",
}
COMPILERS = ("cc", "gcc", "clang")
ZIG = "ziglang>=0.15"
ZIG_SYSTEMS = ("linux", "darwin", "win32")  # for which the package index has ziglang
MODES = ("auto", "native", "pure")


class CannotBuild(Exception):
    """The library cannot be compiled; the message is the reason in one line."""


class Toolchain(NamedTuple):
    """A compiler, and what it compiles for: ``machine`` as in :data:`VARIANTS`, ``system`` as in ``sys.platform``."""

    command: list[str]
    machine: str
    system: str

    @property
    def is_zig(self) -> bool:
        """Whether the compiler is ziglang's, which has flags of its own."""
        return "ziglang" in self.command or "zig" in Path(self.command[0]).name

    def compile(self, folder: Path) -> list[Path]:
        """Compile every variant, and what they share, into ``folder``; return the object files.

        Raises:
            CannotBuild: the compiler fails, or the processor family has no variants.
        """
        if self.machine not in VARIANTS:
            raise CannotBuild(f"no native code for {self.machine} processors")
        flags = [flag for flag in BASE if flag != "-fPIC" or self.system != "win32"]
        oldest = ["-mcpu=baseline"] if self.is_zig else []  # without it zig compiles for this very processor
        commands = {}
        for name, sets in VARIANTS[self.machine].items():
            if self.is_zig:
                sets = (ZIG_ARM[name] or oldest) if self.machine == "aarch64" else [*oldest, *sets]
            commands[name] = [*sets, f"-DVARIANT={name}", "-c", str(SOURCE / PER_VARIANT)]
        shared = [file for file in sorted(SOURCE.glob("*.c")) if file.name != PER_VARIANT]
        commands |= {file.stem: [*oldest, "-c", str(file)] for file in shared}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            runs = [
                pool.submit(run, [*self.command, *flags, *command, "-o", str(folder / f"{name}.o")])
                for name, command in commands.items()
            ]
        for each in runs:
            each.result()
        return [folder / f"{name}.o" for name in commands]

    def link(self, objects: list[Path], library: Path) -> None:
        """Link a shared library that exports the dispatcher only.

        Raises:
            CannotBuild: the compiler fails.
        """
        libraries = {
            "darwin": [f"-Wl,-install_name,@rpath/{library.name}"],  # not the folder in which it was built
            "win32": ["-pthread"],
        }.get(self.system, ["-pthread", "-lm"])
        run([*self.command, "-shared", "-s", *map(str, objects), "-o", str(library), *libraries])


def has_compiler() -> bool:
    """Whether a C compiler for this machine is named or installed, ziglang's aside."""
    return bool(os.environ.get("CC", "").strip() or any(map(shutil.which, COMPILERS)))


def find_compiler(target: str | None = None) -> list[str]:
    """The command of a C compiler; for a target, of one that compiles for other systems.

    Raises:
        CannotBuild: there is none.
    """
    if named := os.environ.get("CC", "").strip():
        return shlex.split(named)
    if not target:
        for name in COMPILERS:
            if shutil.which(name):
                return [name]
    try:
        import ziglang  # noqa: F401
    except ImportError as error:
        needed = f"a compiler for {target}: it needs the package" if target else "C compiler: none of cc, gcc, clang or"
        raise CannotBuild(f"no {needed} ziglang is installed") from error
    return [sys.executable, "-m", "ziglang", "cc"]


def choose_toolchain(target: str | None = None) -> Toolchain:
    """The compiler for a target of ``zig cc``, or for this machine.

    Raises:
        CannotBuild: there is none.
    """
    machine = target.partition("-")[0] if target else platform.machine()
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if not target:
        return Toolchain(find_compiler(), machine, sys.platform)
    system = "win32" if "windows" in target else "darwin" if "macos" in target else "linux"
    return Toolchain([*find_compiler(target), "-target", target], machine, system)


def compile_library(folder: Path, target: str | None = None) -> Path:
    """Compile all variants of a processor family and link them into ``folder``; return the library.

    Raises:
        CannotBuild: there is no compiler, or it fails; the processor family has no variants.
    """
    toolchain, library = choose_toolchain(target), folder / LIBRARY
    with tempfile.TemporaryDirectory() as temporary:
        built = Path(temporary) / LIBRARY
        toolchain.link(toolchain.compile(Path(temporary)), built)
        partial = library.with_name(f".{LIBRARY}.{os.getpid()}.partial")
        shutil.copyfile(built, partial)
        partial.replace(library)
    return library


def run(command: list[str]) -> None:
    """Run a compiler command.

    Raises:
        CannotBuild: it fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(f"{command[0]} does not run: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no reason reported")
        raise CannotBuild(f"{Path(command[0]).name} failed: {reason}")


def read_environment() -> tuple[str, str | None, str]:
    """``ELBERT_BUILD``, the target in ``ELBERT_TARGET`` (None: this machine), and the platform tag of the wheel.

    Raises:
        CannotBuild: a value is not one of those documented above.
    """
    mode = os.environ.get("ELBERT_BUILD", "").strip() or "auto"
    if mode not in MODES:
        raise CannotBuild(f"ELBERT_BUILD: expected {', '.join(MODES)}, got {mode!r}")
    named = os.environ.get("ELBERT_TARGET", "").strip()
    target, _, tag = named.partition("=")
    if not named:
        return mode, None, sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = tag or TARGETS.get(target, "")
    if not target or not tag:
        raise CannotBuild(f"ELBERT_TARGET: expected {', '.join(TARGETS)} or TARGET=TAG, got {named!r}")
    return mode, target, tag


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, without the build system
    BuildHookInterface = object  # type: ignore[assignment, misc]


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Compiles the library before a wheel, editable or not, is put together."""

    def dependencies(self) -> list[str]:
        """What the build needs besides hatchling: a compiler, where the machine has none."""
        if self.target_name != "wheel" or os.environ.get("ELBERT_BUILD") == "pure":
            return []
        machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
        needs_zig = os.environ.get("ELBERT_TARGET") or not has_compiler()
        return [ZIG] if needs_zig and machine in VARIANTS and sys.platform in ZIG_SYSTEMS else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add the library and the tag to the wheel.

        An editable installation has the library in the source tree; other wheels leave the source tree as it is.
        """
        if self.target_name != "wheel":
            return
        mode, target, tag = read_environment()
        is_editable = version == "editable"
        if is_editable:
            for old in SOURCE.glob("elbert_native.*"):
                old.unlink()
        if mode == "pure":
            return
        folder = SOURCE if is_editable else Path(tempfile.mkdtemp(prefix="elbert-"))
        try:
            library = compile_library(folder, target)
        except CannotBuild as error:
            if not is_editable:
                shutil.rmtree(folder)
            if mode == "native" or target:
                raise
            self.app.display_warning(f"elbert runs without native code, on torch alone: {error}")
            return
        if not is_editable:
            build_data["force_include"][str(library)] = f"{PACKAGE}/{LIBRARY}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"  # no Python ABI is used, only the platform

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder that the library was compiled in."""
        del version, artifact_path
        for built in build_data.get("force_include", {}):
            if Path(built).name == LIBRARY:
                shutil.rmtree(Path(built).parent)


if __name__ == "__main__":  # python hatch_build.py: compile into the source tree; --targets: list the release's
    sys.stdout.write(
        "\n".join(TARGETS) + "\n"
        if sys.argv[1:] == ["--targets"]
        else f"{compile_library(SOURCE, read_environment()[1])}\n"
    )
