"""Put a trained model into the package: weights in float16, and only the files that classifying needs.

    python recipes/bundle.py MODEL_DIR src/elbert/bundled

``config.json`` keeps ``dtype: float32``, so that loading the folder computes in float32.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

LIMIT = 16_000_000  # bytes of the weights
KEPT = ("config.json", "tokenizer.json", "tokenizer_config.json", "exits.json")


def main(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    weights = load_file(source / "model.safetensors")
    halves = {name: weight.to(torch.float16) for name, weight in weights.items()}
    for name, half in halves.items():
        if not bool(half.isfinite().all()):
            raise SystemExit(f"{name} does not fit into float16")
    save_file(halves, target / "model.safetensors", metadata={"format": "pt"})
    for name in KEPT:
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    size = (target / "model.safetensors").stat().st_size
    print(f"{target}: {size:,} bytes of weights")
    if size > LIMIT:
        raise SystemExit(f"more than {LIMIT:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
