"""The memory of bulk prediction does not depend on how much of a text is cut."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("memory_of_stream.py")
MOST = 200  # MB above the model


def measure_growth(number, form):
    done = subprocess.run([sys.executable, SCRIPT, str(number), form], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.parametrize(("number", "form"), [pytest.param(200, "words", marks=pytest.mark.slow), (40, "one word")])
def test_long_documents_take_little_memory(number, form):
    assert measure_growth(number, form) < MOST


@pytest.mark.slow
@pytest.mark.parametrize("form", ["words", "lines", "spaces", "one word"])
def test_two_thousand_long_documents_take_little_memory(form):
    assert measure_growth(2000, form) < MOST
