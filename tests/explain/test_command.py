"""elbert explain as people call it."""

import json

import pytest

from elbert.cli.main import main
from tiny import texts, write_bundle

LINES = [f"{text} film" for text in texts(12, seed=4)]


@pytest.fixture
def command(capsys, folders):
    """Run elbert explain with the tiny model; returns status, output, errors."""

    def run(*arguments, kind="two"):
        capsys.readouterr()
        status = main(["explain", *map(str, arguments), "--model", str(folders[kind])])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.csv"
    rows = [f'"{text}",{i % 2}' for i, text in enumerate(LINES)]
    file.write_text("\n".join(["text,label", *rows]) + "\n")
    return file


def expect_error(result, *parts):
    status, out, err = result
    assert (status, out, err.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in err


def test_one_text_piped_is_plain_and_its_columns_stand(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "47")  # the terminal's width does not apply to a pipe
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    status, out, err = command("a charming film", "--policy", "window(entropy=0.1, size=2)", "--label", "positive")
    assert (status, err) == (0, "")
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0] == "a charming film"
    assert "label positive" in lines[1]
    head = next(i for i, line in enumerate(lines) if line.startswith("   depth  answer"))
    depths = lines[head + 1 : head + 7]
    assert [int(line[3:8]) for line in depths] == [1, 2, 3, 4, 5, 6]
    places = {name: lines[head].index(name) for name in ("answer", "probability", "entropy", "window")}
    for line in depths:
        assert line[places["answer"] :].startswith(("negative", "positive"))
        assert line[places["window"] - 2 : places["window"]] == "  "
        assert set(line[places["window"] :][:6]) <= set("■□·")
    assert sum(line.startswith(" ▶ ") for line in depths) == 1
    assert sum("◀ exit: " in line for line in depths) == 1
    for part in [
        "earliest correct",
        "patience(3)",
        "attention of [CLS]",
        "special tokens",
        "(measured on this machine",
    ]:
        assert part in out
    assert lines[-1].startswith("It exited at depth ")
    assert lines[-1].endswith(".")


@pytest.mark.parametrize("kind", ["many", "multi", "mean", "shallow"])
@pytest.mark.parametrize("spec", ["full", "divergence(1, 0.01)", "tempered(patience(1), 2.0)"])
def test_every_kind_is_explained(command, kind, spec):
    status, out, err = command("a charming film", "--policy", spec, kind=kind)
    assert status == 0 and not err  # with one depth (shallow) no policy could end a text earlier
    assert out.splitlines()[-1].startswith("It exited at depth ")


def test_colours_on_a_terminal(command, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    _, out, _ = command("a charming film", "--policy", "entropy(0.5)")
    assert "\x1b[" in out


def test_escape_codes_of_a_text_are_not_obeyed(command):
    _, out, _ = command("a \x1b[31mred\x07 [bold]film[/bold] :smile:")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]film[/bold] :smile:" in out


def test_json_holds_everything(command):
    status, out, err = command("a film", "--pair", "a plot", "--label", "1", "--policy", "window(0.1, 2)", "--json")
    assert (status, err) == (0, "")
    result = json.loads(out)
    assert (result["text"], result["text_pair"], result["truth"]) == ("a film", "a plot", ["positive"])
    assert len(result["steps"]) == result["depths"] == 6
    assert [rule["reason"] for rule in result["rules"]] == ["entropy", "window"]
    assert sum(result["steps"][0]["attention"]) == pytest.approx(1, abs=1e-5)
    assert {"policy", "full", "by_depth", "rounds", "device", "threads"} <= set(result["clock"])


@pytest.mark.parametrize("ending", ["html", "png", "svg", "PNG"])
def test_files_are_written(command, tmp_path, data, ending):
    for arguments in (["a film"], ["--data", data]):
        file = tmp_path / f"out.{ending}"
        status, out, err = command(*arguments, "--output", file)
        assert (status, err) == (0, f"elbert: wrote {file}\n")
        assert out
        start = file.read_bytes()[:40].lower()
        assert {"html": b"<!doctype html>", "svg": b"<?xml", "png": b"\x89png"}[ending.lower()] in start
        file.unlink()


def test_a_data_set_is_explained(command, data):
    status, out, err = command("--data", data, "--policy", "entropy(0.7)")
    assert (status, err) == (0, "")
    assert "\x1b" not in out
    for part in ["12 texts, mean depth", "settled", "depth by length", "most confused", "easiest", "overthought"]:
        assert part in out
    status, out, _ = command("--data", data, "--policy", "entropy(0.7)", "--json")
    result = json.loads(out)
    assert (result["n"], result["total"], result["source"]) == (12, 12, "data.csv")
    assert sum(result["exits"]) == 12


def test_the_limit_is_reported_when_it_cuts(command, data):
    status, out, err = command("--data", data, "--limit", "5", "--json")
    assert status == 0
    assert "a random sample of 5 of 12 texts" in err
    result = json.loads(out)
    assert (result["n"], result["total"]) == (5, 12)
    lines = data.read_text().splitlines()
    for each in (*result["easiest"], *result["hardest"]):
        assert lines[each["line"] - 1].startswith(f'"{each["text"]}"')
    assert json.loads(command("--data", data, "--limit", "5", "--json")[1]) == result  # the same every time
    assert command("--data", data, "--limit", "12")[2] == ""


def test_unlabelled_texts(command, tmp_path):
    file = tmp_path / "plain.txt"
    file.write_text("\n".join(LINES) + "\n")
    status, out, err = command("--data", file)
    assert (status, err) == (0, "")
    assert "most confused" not in out
    assert "accuracy" not in out


def test_bad_rows(command, tmp_path):
    file = tmp_path / "half.jsonl"
    file.write_text('{"text": "a film", "label": "positive"}\n{"text": "a plot"}\n{"text": "a story", "label": 0}\n')
    expect_error(command("--data", file), f"{file}:2: no label")
    status, out, err = command("--data", file, "--skip-bad", "--json")
    assert (status, json.loads(out)["n"]) == (0, 2)
    assert "skipped" in err


def test_what_cannot_be_served_is_one_clear_line(command, tmp_path, data):
    expect_error(command(), "give either TEXT or --data FILE")
    expect_error(command("a film", "--data", data), "give either TEXT or --data FILE")
    expect_error(command("--data", data, "--label", "1"), "go with TEXT")
    expect_error(command("--data", data, "--pair", "x"), "go with TEXT")
    expect_error(command("a film", "--limit", "3"), "--limit goes with --data")
    expect_error(command("--data", data, "--limit", "0"), "--limit is 0")
    expect_error(command(""), "TEXT is empty")
    expect_error(command("a film", "--label", "angry"), "unknown label 'angry'", "negative, positive")
    expect_error(command("a film", "--output", tmp_path / "x.pdf"), "expected a name ending in .html, .png, .svg")
    expect_error(command("a film", "--output", tmp_path / "no" / "x.html"), "does not exist")
    expect_error(command("a film", "--policy", "depth(9)"), "this model has 6 depths")
    expect_error(command("--data", tmp_path / "none.csv"), "no such file")
    (tmp_path / "empty.csv").write_text("text,label\n")
    expect_error(command("--data", tmp_path / "empty.csv"), "no texts to explain")


def test_a_regression_has_values_and_no_classes(capsys, tmp_path, data):
    folder = write_bundle(tmp_path / "number", labels=("value",), problem_type="regression")
    for ending in ("html", "svg"):
        file = tmp_path / f"drawn.{ending}"
        assert main(["explain", "a film", "--model", str(folder), "--output", str(file)]) == 0
        assert "value" in file.read_text()
    assert "%" not in capsys.readouterr().out.split("saved")[0]
    numbers = tmp_path / "numbers.csv"
    numbers.write_text(data.read_text().replace(",1\n", ",2.5\n"))
    assert main(["explain", "--data", str(numbers), "--model", str(folder)]) == 0
    assert "confused" not in capsys.readouterr().out


def test_a_figure_without_matplotlib_names_its_extra(command, monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    expect_error(command("a film", "--output", tmp_path / "x.png"), "pip install 'elbert[plots]'")
