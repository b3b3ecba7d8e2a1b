"""``elbert explore`` as a process."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from elbert.cli.main import main
from elbert.serving.http.server import bind_socket
from tiny import texts


def started(*arguments):
    command = [sys.executable, "-m", "elbert.cli.main", "explore", "--no-browser", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def get(address):
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


def test_it_prints_an_address_serves_and_ends(bundle_folder, tmp_path):
    data = tmp_path / "labelled.csv"
    rows = [f"{text} {i},{i % 2}" for i, text in enumerate(texts(30, seed=1))]
    data.write_text("\n".join(["text,label", *rows]))
    with started("--model", bundle_folder, "--data", data, "--policy", "patience(1)") as process:
        line = process.stdout.readline()
        assert line.startswith("explorer: http://127.0.0.1:")
        address = line.split()[1]
        assert "elbert explorer" in get(address)
        assert json.loads(get(f"{address}explorer/model.json"))["default"] == "patience(1)"
        table = json.loads(get(f"{address}explorer/evaluation.json"))
        assert (len(table["texts"]), table["name"], table["of"]) == (30, "labelled.csv", 30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "elbert: interrupted\n")


def test_many_texts_are_sampled_and_the_command_reports_it(bundle_folder, tmp_path, monkeypatch, capsys):
    from elbert import Classifier
    from elbert.cli.commands import explore
    from elbert.cli.main import parser

    data = tmp_path / "labelled.csv"
    data.write_text("\n".join(["text,label", *(f"film {i},{i % 2}" for i in range(30))]))
    monkeypatch.setattr(explore, "MAX_TEXTS", 12)
    arguments = parser().parse_args(["explore", "--data", str(data)])
    found = explore.collect_evaluation(arguments, Classifier.load(bundle_folder))
    assert (len(found.texts), found.total, len(found.outputs)) == (12, 30, 12)
    numbers = [int(text.split()[1]) for text in found.texts]
    assert numbers == sorted(set(numbers))
    assert [n % 2 for n in numbers] == found.outputs.labels.tolist()
    assert "random sample of 12 of 30 texts" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["explore", "--no-browser"], ["serve"]], ids=lambda words: words[0])
@pytest.mark.parametrize("port", ["70000", "65536", "-4", "x", "1.5", ""])
def test_a_value_that_is_no_port_is_an_error_in_one_line_with_the_range(capsys, command, port):
    assert main([*command, "--port", port]) == 2
    expected = f"--port: expected a whole number from 0 to 65535, got {port!r}"
    assert capsys.readouterr().err == f"elbert: error: {expected}\n"


def test_a_port_in_use_is_named_once(capsys):
    with bind_socket("127.0.0.1", 0) as place:
        place.listen()
        port = place.getsockname()[1]
        assert main(["explore", "--no-browser", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), error.count(str(port)), error.count("choose another --port")) == (1, 1, 1)


def test_a_missing_file_is_an_error_before_anything_is_served(bundle_folder, capsys):
    assert main(["explore", "--no-browser", "--model", str(bundle_folder), "--data", "nowhere.csv"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "nowhere.csv" in err
