"""What a benchmark's result must carry to be worth keeping: machine, versions, command."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from elbert.cli.env import facts

RESULTS = Path(__file__).parent / "results"


def keep(name: str, result: dict[str, Any]) -> Path:
    """Write ``results/NAME.json`` with the machine, the versions and the command beside the figures."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python " + " ".join(sys.argv),
        "machine": facts(),
    }
    path.write_text(json.dumps(about | {"result": result}, indent=2) + "\n", encoding="utf-8")
    return path
