"""The folder that elbert export --page writes: what is in it, what its file answers, and what is refused."""

import json
import re

import numpy as np
import pytest
from browser_site import SENTENCES, data_of, write_runtime
from exported_twin import KINDS, all_logits

from elbert import Classifier, bundled_model
from elbert.bundle import Bundle
from elbert.cli.main import main
from elbert.errors import InputError, PolicyError
from elbert.exits import policy as read
from elbert.export.browser import RUNTIME_FILES, add_trace_output, describe_dials, write_page
from elbert.export.onnx_file import build_checked_model
from elbert.export.session import pad_batch


@pytest.fixture
def runtime(tmp_path):
    """Files that are called as onnxruntime-web's are."""
    return write_runtime(tmp_path / "package")


def test_a_folder_with_all_that_a_page_needs(runtime, tmp_path):
    page = write_page(None, None, tmp_path / "site", runtime=runtime, dtype="int8")
    files = {str(file.relative_to(page.parent)) for file in page.parent.rglob("*") if file.is_file()}
    settings = {"config.json", "tokenizer.json", "tokenizer_config.json"}
    assert files == {"index.html", "onnx/model.onnx", *settings, *(f"runtime/{name}" for name in RUNTIME_FILES)}
    about = data_of(page)
    assert set(about["files"].values()) <= files
    assert (about["depths"], about["labels"], about["dtype"]) == (12, ["negative", "positive"], "int8")
    assert about["reasons"] == ["entropy", "window", "last"]
    assert (about["dials"], about["traced"], about["max_length"]) == ([], True, 512)
    assert (about["answers"], about["reads_words"]) == ("class", False)
    sizes = [(page.parent / about["files"][part]).stat().st_size for part in ("model", "tokenizer", "runtime")]
    assert (about["bytes"], about["model_bytes"]) == (sum(sizes), sizes[0])
    assert json.loads((page.parent / "tokenizer_config.json").read_text())["model_max_length"] == 512


def test_a_page_names_no_other_address_and_may_ask_none(runtime, tmp_path):
    page = write_page(None, "entropy(0.2)", tmp_path / "site", runtime=runtime)
    html = page.read_text(encoding="utf-8")
    addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"'`]*", html))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # the name of a markup, which is never requested
    assert not re.search(r"<(script|link|img|iframe)[^>]*\b(src|href)=\"(?!data:)", html)
    allowed = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)[1]
    assert "default-src 'none'" in allowed
    assert "connect-src 'self'" in allowed
    assert "unsafe-inline" not in allowed
    assert html.index("Content-Security-Policy") < html.index("<script") < html.index("<body")


def test_a_label_is_no_markup(bundle_folder, runtime, tmp_path):
    from elbert.export.browser import render_index

    html = render_index(
        {"labels": ["</script><img src=x onerror=alert(1)>", "<!-- policy -->"]}, Bundle.open().config.task
    )
    assert "<img" not in html
    assert html.count("Content-Security-Policy") == 1


def test_models_of_this_library_are_called_albert(tmp_path):
    from elbert.export.browser import build_albert_config
    from taggers import write_tagger
    from tiny import write_bundle

    folder = write_bundle(tmp_path / "mean", pooling="mean")
    assert json.loads((folder / "config.json").read_text())["model_type"] == "elbert"
    found = build_albert_config(Bundle.open(folder))
    assert (found["model_type"], found["architectures"]) == ("albert", ["AlbertForSequenceClassification"])
    assert found["id2label"] == {"0": "negative", "1": "positive"}
    tagger = build_albert_config(Bundle.open(write_tagger(tmp_path / "tagger")))
    assert (tagger["model_type"], tagger["architectures"]) == ("albert", ["AlbertForTokenClassification"])


@pytest.fixture(scope="module")
def classifier():
    """The bundled model."""
    return Classifier.load(dtype="float32", threads=1)


@pytest.fixture(scope="module")
def known(classifier):
    """Tokens of six sentences, and their logits at every depth."""
    tokens = classifier.tokeniser.encode(SENTENCES[:6])
    return tokens, all_logits(classifier.backend, tokens)


@pytest.mark.parametrize("spec", KINDS.values(), ids=KINDS)
def test_the_trace_holds_every_depth(classifier, known, spec):
    tokens, logits = known
    proto = add_trace_output(build_checked_model(classifier, spec, extra_outputs=True))
    outputs = [output.name for output in proto.graph.output]
    if not read(spec).signals:
        assert outputs == ["logits", "depth", "reason"]
        return
    _, depth, _, trace = session_of(proto).run(None, pad_batch(tokens))
    assert outputs == ["logits", "depth", "reason", "trace"]
    assert trace.shape == (depth.max(), 6, 2)
    for row, left in enumerate(depth):
        assert np.abs(trace[:left, row] - logits[row, :left]).max() <= 1e-4
        assert (trace[left:, row] == trace[left - 1, row]).all()


@pytest.mark.parametrize("spec", KINDS.values(), ids=KINDS)
def test_dials_that_never_let_a_text_leave(classifier, spec):
    inputs = describe_dials(read(spec))
    proto = add_trace_output(build_checked_model(classifier, spec, dials="required", extra_outputs=True))
    assert {i["name"] for i in inputs} == {i.name for i in proto.graph.input} - set(padded_names())
    tokens = classifier.tokeniser.encode(SENTENCES[:4])
    never = {i["name"]: np.array(i["never"], np.int64 if i["whole"] else np.float32) for i in inputs}
    _, depth, *_ = session_of(proto).run(None, pad_batch(tokens) | never)
    assert (depth == 12).all()
    own = {i["name"]: np.array(i["value"], np.int64 if i["whole"] else np.float32) for i in inputs}
    _, depth, *_ = session_of(proto).run(None, pad_batch(tokens) | own)
    assert depth.tolist() == [one.depth for one in classifier.predict(SENTENCES[:4], spec)]


def padded_names():
    return ("input_ids", "attention_mask", "token_type_ids")


def session_of(proto):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def test_the_command(runtime, tmp_path, capsys):
    arguments = ["export", "--page", str(tmp_path / "site"), "--onnxruntime-web", str(runtime), "--dtype", "int8"]
    assert main([*arguments, "--dials"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{tmp_path}/site/index.html: ")
    assert "python3 -m http.server --directory" in out
    assert (out.count("\n"), err) == (1, "")
    about = data_of(tmp_path / "site" / "index.html")
    own = Bundle.open(bundled_model()).resolve_policy()
    assert [dial["name"] for dial in about["dials"]] == [f"window_{n}" for n in ("entropy", "size", "margin", "range")]
    assert [dial["value"] for dial in about["dials"]] == [
        own.dials[name] for name in ("entropy", "size", "margin", "range")
    ]
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["page"], answer["dtype"]) == (str(tmp_path / "site" / "index.html"), "int8")


def test_errors_come_before_anything_is_written(bundle_folder, runtime, tmp_path):
    site = tmp_path / "site"
    with pytest.raises(InputError, match=r"nowhere: no onnxruntime-web found .*npm install onnxruntime-web@"):
        write_page(None, None, site, runtime=tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"the pre-tokenizer Whitespace, which a page cannot run \(known: Bert"):
        write_page(bundle_folder, None, site, runtime=runtime)
    with pytest.raises(PolicyError, match="no policy is called"):
        write_page(None, "sure", site, runtime=runtime)
    assert not site.exists()
    site.write_text("a file")
    with pytest.raises(InputError, match="the folder cannot be created"):
        write_page(None, None, site, runtime=runtime)
    assert site.read_text() == "a file"
