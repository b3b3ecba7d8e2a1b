"""Check the wheels of a release: tags, the library inside, its processor, what it needs from the system.

    python deploy/check_wheels.py dist

Prints one line a wheel; exit status 1 if one is wrong or missing.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lief

LIBRARY = "elbert/model/native/elbert_native.bin"
lief.logging.disable()  # its notes about what it does not read of Mach-O
EXPORTS = {"elbert_refill", "elbert_size", "elbert_variant", "elbert_variant_name", "elbert_variant_runs"}
PURE = "any"


@dataclass(frozen=True)
class Expected:
    """What a platform's library is: lief's names of format and processor, and the system libraries it may need."""

    format: str
    machine: str
    libraries: tuple[str, ...]  # a name that ends with * is a beginning
    glibc: tuple[int, int] | None = None


GLIBC = ("libc.so.6", "libm.so.6", "libpthread.so.0")
EXPECTED = {
    "manylinux_2_28_x86_64": Expected("ELF", "X86_64", GLIBC, (2, 28)),
    "manylinux_2_28_aarch64": Expected("ELF", "AARCH64", GLIBC, (2, 28)),
    "macosx_11_0_arm64": Expected("MACHO", "ARM64", ("/usr/lib/libSystem.B.dylib",)),
    "win_amd64": Expected("PE", "AMD64", ("KERNEL32.dll", "api-ms-win-crt-*")),
}


def check_wheel(path: Path) -> Iterator[str]:
    """What is wrong with a wheel, a line each."""
    *_, python, abi, platform = path.stem.split("-")
    if (python, abi) != ("py3", "none"):
        yield f"expected the tag py3-none, got {python}-{abi}"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/WHEEL"))).decode()
        found = [name for name in names if "elbert_native" in name]
        is_pure = platform == PURE
        if (
            f"Tag: py3-none-{platform}\n" not in metadata
            or f"Root-Is-Purelib: {str(is_pure).lower()}\n" not in metadata
        ):
            yield f"its metadata contradicts its name: {metadata.split()}"
        if found != ([] if is_pure else [LIBRARY]):
            yield f"expected {'no library' if is_pure else f'the library {LIBRARY}'}, got {found}"
        elif not is_pure and platform not in EXPECTED:
            yield f"expected one of the platforms {', '.join(EXPECTED)}, got {platform}"
        elif not is_pure:
            yield from check_library(archive.read(LIBRARY), EXPECTED[platform])


def check_library(content: bytes, expected: Expected) -> Iterator[str]:
    """What is wrong with a library, a line each."""
    library = lief.parse(list(content))
    if library is None or library.format.name != expected.format:
        yield f"expected a library of the format {expected.format}, got {getattr(library, 'format', 'no library')}"
        return
    if expected.format == "MACHO" and not library.has_code_signature:
        yield "is not signed: macOS does not load it on this processor"
    if (machine := machine_of(library)) != expected.machine:
        yield f"expected code for {expected.machine}, got {machine}"
    if foreign := sorted(name for name in needs(library) if not is_allowed(name, expected.libraries)):
        yield f"needs {', '.join(foreign)}; expected only {', '.join(expected.libraries)}"
    exported = {name.removeprefix("_") for name in exports(library)}
    if missing := EXPORTS - exported:
        yield f"does not export {', '.join(sorted(missing))}"
    if expected.glibc and (newest := newest_glibc(library)) > expected.glibc:
        yield f"needs glibc {newest}, expected at most {expected.glibc}"
    if expected.format == "ELF" and (free := unversioned(library)):
        yield f"has undefined symbols that no system library is named for: {', '.join(free)}"


def machine_of(library: Any) -> str:
    """The processor family, as lief names it."""
    header = library.header
    found = getattr(header, "machine_type", None) or getattr(header, "cpu_type", None) or header.machine
    return str(found.name)


def needs(library: Any) -> set[str]:
    """The system libraries that are loaded with it."""
    if isinstance(library, lief.PE.Binary):
        return {str(entry.name) for entry in library.imports}
    if isinstance(library, lief.MachO.Binary):  # which lists itself, too
        own = lief.MachO.LoadCommand.TYPE.ID_DYLIB
        return {str(needed.name) for needed in library.libraries if needed.command != own}
    return {str(getattr(needed, "name", needed)) for needed in library.libraries}


def is_allowed(name: str, allowed: tuple[str, ...]) -> bool:
    """Whether a system library may be needed."""
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in allowed)


def exports(library: Any) -> list[str]:
    """Names of exported functions."""
    if isinstance(library, lief.PE.Binary):
        return [str(entry.name) for entry in library.get_export().entries]
    return [str(symbol.name) for symbol in library.exported_symbols]


def newest_glibc(library: Any) -> tuple[int, ...]:
    """The newest version of glibc's symbols that a library refers to."""
    versions = [
        tuple(map(int, str(version.name).removeprefix("GLIBC_").split(".")))
        for requirement in library.symbols_version_requirement
        for version in requirement.get_auxiliary_symbols()
    ]
    return max(versions, default=(0,))


def unversioned(library: Any) -> list[str]:
    """Undefined symbols without a version: the linker has found them in no system library."""
    return [
        str(symbol.name)
        for symbol in library.imported_symbols
        if symbol.binding.name != "WEAK" and not getattr(symbol.symbol_version, "has_auxiliary_version", False)
    ]


def check_release(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Every wheel of a folder, and platforms without one, with what is wrong."""
    wheels = sorted(folder.glob("*.whl"))
    for path in wheels:
        yield path.name, list(check_wheel(path))
    present = [path.stem.rpartition("-")[2] for path in wheels]
    for platform in (*EXPECTED, PURE):
        if present.count(platform) != 1:
            yield platform, [f"expected one wheel, got {present.count(platform)}"]


def main() -> int:
    """Check the folder that the command line names."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.stderr.write("usage: python deploy/check_wheels.py FOLDER\n")
        return 2
    is_wrong = False
    for name, faults in check_release(Path(sys.argv[1])):
        sys.stdout.write(f"{name}: {'; '.join(faults) or 'ok'}\n")
        is_wrong |= bool(faults)
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
