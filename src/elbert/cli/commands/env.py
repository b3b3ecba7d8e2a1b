"""``elbert env``: versions, processor and devices, for a bug report."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from elbert import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "pyarrow", "accelerate", "scikit-learn")
USEFUL_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16", "i8mm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert env``."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Print versions, processor and devices."""
    found = collect_facts()
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        width = max(map(len, found))
        sys.stdout.write("".join(f"{name:<{width}}  {value}\n" for name, value in found.items()))
    return 0


def collect_facts() -> dict[str, Any]:
    """Return versions, processor and devices by name."""
    import torch

    from elbert.bundle import bundled_model
    from elbert.model.precision import Precision, is_fast

    return {
        "elbert": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: find_version(name) for name in PACKAGES},
        "processor": describe_processor(),
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "native code": describe_native(),
        "does well": ", ".join(p for p in get_args(Precision) if is_fast(p, torch.device("cpu"))),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "bundled model": "present" if (bundled_model() / "config.json").exists() else "missing",
    }


def describe_native() -> str:
    """Return the variant of the native code in use and the others that run here, or why there is none."""
    from elbert.model import native

    found, all_found = native.load(), native.list_variants()
    if isinstance(found, native.NoVariant) or isinstance(all_found, native.NoVariant):
        return f"none: {getattr(found, 'reason', '')}"
    others = ", ".join(variant.name for variant in all_found if variant != found)
    return f"{found.name}{f' (also: {others})' if others else ''}"


def find_version(package: str) -> str:
    """Return a package's version, or ``not installed``."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def describe_processor() -> str:
    """Return the processor's name and its instruction sets that matter here, as far as the system reports them."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or "unknown"
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    known = {name.strip(): value.strip() for name, value in lines.items()}
    flags = known.get("flags", known.get("Features", "")).split()
    return f"{known.get('model name', platform.machine())} ({' '.join(f for f in USEFUL_FLAGS if f in flags)})"
