"""Put a trained model into the package: weights in float16, and only the files that classifying needs.

    python recipes/bundle.py MODEL_DIR src/elbert/bundled

``config.json`` has ``dtype: float32``, so that transformers, too, loads the folder in float32.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

LIMIT = 16_000_000  # bytes of the weights
KEPT = ("tokenizer.json", "tokenizer_config.json", "exits.json")


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
    config = json.loads((source / "config.json").read_text("utf-8")) | {"dtype": "float32"}
    (target / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    size = (target / "model.safetensors").stat().st_size
    print(f"{target}: {size:,} bytes of weights")
    if size > LIMIT:
        raise SystemExit(f"more than {LIMIT:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
