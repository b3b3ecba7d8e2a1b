"""How many modules one text and one request enter; the lists are printed by benchmarks/modules_crossed.py."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CODE = """
import json, modules_crossed as m
print(json.dumps([m.count_for_one_text(), m.count_for_one_request()]))
"""


def test_a_text_and_a_request_enter_few_modules():
    """In a process of its own: other tests leave threads and caches behind."""
    done = subprocess.run([sys.executable, "-c", CODE], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    text, request = json.loads(done.stdout)
    assert {"classifier.py", "engine/engine.py", "inference/step.py", "inference/native_step.py"} <= set(text)
    assert {"serving/http/handlers.py", "serving/worker.py", "engine/engine.py"} <= set(request)
    assert len(text) <= 20, text
    assert len(request) <= 30, request
