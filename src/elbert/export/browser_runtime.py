"""The files of onnxruntime-web that a page runs on: an npm package, because 14 MB of WebAssembly belong in no wheel."""

from __future__ import annotations

from pathlib import Path

from elbert.errors import InputError

PACKAGE = "onnxruntime-web@1.30.0"  # the release that the tests run
RUNTIME_FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def runtime_folder(package: Path) -> Path:
    """Where a package's files lie: in itself or in its ``dist``.

    Raises:
        InputError: they are in neither; the message says how to get them.
    """
    for folder in (package, package / "dist"):
        if all((folder / name).is_file() for name in RUNTIME_FILES):
            return folder
    raise InputError(
        f"{package}: no onnxruntime-web there (looked for {', '.join(RUNTIME_FILES)}); get it by "
        f"npm install {PACKAGE}, and name its folder if it is not node_modules/onnxruntime-web"
    )
