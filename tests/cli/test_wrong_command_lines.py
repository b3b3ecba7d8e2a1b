"""What a user can type wrongly ends in one line with the remedy, status 2 and nothing written; never in a traceback."""

import shlex
import warnings

import pytest

# Commands, and what the one line has. {model} is a tiny model of six depths; {few}, {data}, {binary} are data files.
REJECTED = {
    **{
        f"predict x --device {name} --model {{model}}": "expected auto, cpu or cuda"
        for name in ("tpu", "''", "gpu", "mps", "cpu:x")
    },
    "predict x --device cuda:99 --model {model}": "device",
    **{
        f"{command} --device tpu --model {{model}}": "device is 'tpu', expected auto, cpu or cuda"
        for command in (
            "evaluate --data {data}",
            "bench --rounds 1",
            "bench --data {data}",
            "compare --data {data} --output report",
            "calibrate --data {data} --name quick --speedup 2",
            "explain x",
            "explain --data {data}",
            "explore",
        )
    },
    "calibrate --data {few} --name quick --speedup 2 --model {model}": "too few texts to",
    "calibrate --data {few} --name quick --max-drop 1 --model {model}": "too few texts to",
    "calibrate --data {few} --name quick --risk 0.05 --model {model}": "give more texts",
    "calibrate --data {data} --tuning {few} --name quick --speedup 2 --model {model}": "too few texts to",
    "compare --data {few} --output report --model {model}": "too few texts to",
    **{
        f"calibrate --data {{data}} --name {name} --speedup 2 --model {{model}}": "polic"
        for name in ("'a | b'", "'a|b'", "full", "'depth(3)'", "'window(2)'", "entropy", "'quick(1)'", "'a=b'")
    },
    **{
        f"calibrate --data {{data}} --name {name} --speedup 2 --model {{model}}": "one line of 1 to 64 characters"
        for name in ("''", "' '", "'a\tb'", "a" * 65)
    },
    "calibrate --data {data} --name quick --speedup nan --model {model}": "nan",
    "calibrate --data {data} --name quick --speedup 99 --model {model}": "6",
    "calibrate --data {data} --name quick --max-drop -1 --model {model}": "expected 0 to 100",
    "calibrate --data {data} --name quick --risk 2 --model {model}": "probability",
    "calibrate --data {data} --name quick --speedup 2 --tuning-share 2 --model {model}": "share",
    "predict x --policy 'depth(7)' --model {model}": "this model has 6 depths",
    "predict x --policy 'window(entropy=0.1, size=0)' --model {model}": "size=0",
    "predict x --policy 'entropy(nan)' --model {model}": "entropy(threshold)",
    "predict x --policy 'full |' --model {model}": "policy",
    "predict x --policy '' --model {model}": "policy",
    "predict x --threads 0 --model {model}": "threads is 0",
    "predict x --max-rows 0 --model {model}": "max_rows",
    "predict x --max-tokens -1 --model {model}": "max_tokens",
    "predict x --model nowhere": "nowhere",
    "predict x --model {data}": "",
    "predict --input {binary} --model {model}": "",
    "predict --input . --model {model}": "is a folder",
    "predict --input nowhere.csv --model {model}": "no such file",
    "evaluate --data {binary} --model {model}": "",
    "evaluate --data . --model {model}": "is a folder",
    "evaluate --data {data} --rounds -1 --model {model}": "--rounds is -1",
    "evaluate --data {data} --rounds 1.5 --model {model}": "invalid int value",
    "evaluate --data {data} --policy nonsense --model {model}": "no policy is called 'nonsense'",
    "evaluate --data {data} --outputs out.txt --model {model}": ".npz",
    "evaluate --data {data} --outputs nowhere/out.npz --model {model}": "does not exist",
    "bench --rounds 0 --model {model}": "--rounds is 0",
    "bench --data {binary} --model {model}": "",
    "compare --data {data} --output {data} --model {model}": "is a file",
    "compare --data {data} --output report --families nonsense --model {model}": "unknown family",
    "serve --port 99999": "port",
    "serve --port x": "port",
    "explore --port -1": "port",
    "train --model {model} --train {few} --output out --validation 0.5": "0.5",
    "train --model {model} --train nowhere.csv --output out": "nowhere.csv",
    "train --model {model} --train {data} --output {data}": "is a file",
    "train --model {model} --train {data} --output out --patience -1": "patience is -1",
    "train --model {model} --train {data} --output out --preset best": "invalid choice",
    "train --model {model} --train {data} --output out --device tpu": "unknown argument '--device'",
    "train --model {model} --train {data} --output out --num_train_epochs -1": "num_train_epochs is -1",
    "train --model {model} --train {data} --output out --learning_rate nan": "learning_rate is nan",
    "train --model {model} --train {data} --output out --per_device_train_batch_size 0": "batch_size is 0",
    "train --model {model} --train {data} --output out --report_to mlflow": "mlflow",
    "train --model {model} --train {data} --output out --metric_for_best_model f1": "expected one of area",
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    rows = [f"text number {i},{('negative', 'positive')[i % 2]}" for i in range(60)]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (folder / "few.csv").write_text("\n".join(["text,label", *rows[:2]]) + "\n")
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 4)
    return {name: folder / f"{name}.csv" for name in ("data", "few", "binary")}


@pytest.mark.parametrize("command", REJECTED)
def test_a_wrong_command_line_is_one_line(elbert, bundle_folder, files, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in bundle_folder.rglob("*")}
    elbert(*shlex.split(command.format(model=bundle_folder, **files))).check_error(REJECTED[command])
    assert not list(tmp_path.iterdir())
    assert {path: path.stat().st_mtime_ns for path in bundle_folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "has_hint"),
    [
        (("predict", "a film", "--output", "missing/x.jsonl"), False),
        (("predict", "a film", "--dtype", "float64"), False),
        (("predict", "-meh"), True),
        (("predict", "a film", "--policy", "-x"), True),
    ],
)
def test_a_wrong_value_has_no_hint_about_texts_with_dashes(elbert, arguments, has_hint):
    assert ("texts that begin with a dash" in elbert(*arguments).err) == has_hint


@pytest.mark.parametrize(
    ("spec", "note"),
    [
        ("window(entropy=0.1, size=99)", "too few for one of its rules"),
        ("patience(6)", "the 6 depths of this model are too few for its rule, which never ends a text early"),
        ("entropy(0.1) | patience(40)", "patience(40): the 6 depths of this model are too few for its rule"),
    ],
)
def test_a_rule_over_more_depths_than_the_model_has_is_noted(elbert, bundle_folder, spec, note):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = elbert("predict", "a film", "--policy", spec, "--model", bundle_folder)
    assert result.status == 0
    assert result.err.startswith("elbert: warning: ") and note in result.err
    assert result.err.count("\n") == 1
    assert not elbert("predict", "a film", "--policy", "patience(2)", "--model", bundle_folder).err


@pytest.mark.parametrize(
    "command",
    [
        "evaluate --data {}",
        "compare --output report --data {}",
        "calibrate --name x --speedup 2 --data {}",
        "calibrate --name x --speedup 2 --data good.csv --tuning {}",
        "explain --data {}",
        "explore --data {}",
    ],
)
def test_a_data_file_is_checked_before_the_model(elbert, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text("review,stars\na film,1\n")
    for name, text, message in (
        ("column.csv", "text,stars\na film,1\n", "column.csv: no column named review; columns found: text, stars"),
        ("label.csv", "review,label\na film,1\n", "label.csv: no column named stars; columns found: review, label"),
        ("nowhere.csv", None, "nowhere.csv: no such file"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        words = ["--text-column", "review", "--label-column", "stars", "--model", "nowhere"]
        elbert(*command.format(name).split(), *words).check_error(message)
