"""A page that classifies in the browser: the exported model, its tokenizer, onnxruntime-web and ``index.html``.

onnxruntime-web comes from an npm package, because its 14 MB of WebAssembly would make the Python package too large."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert import __version__
from elbert._atomic import check_not_input, write_files
from elbert.bundle import Bundle
from elbert.bundle.folder import read_config_file
from elbert.errors import InputError
from elbert.exits import Policy
from elbert.exits.encoding import policy_table
from elbert.export.browser_tokenizer import read_page_tokenizer
from elbert.export.dials import Dial, Dials, bind_dials
from elbert.export.graph import FLOAT, Graph
from elbert.export.onnx_file import WORD_STARTS, build_checked_model
from elbert.export.quantization import Dtype
from elbert.tasks import TASKS, Task
from elbert.web import list_hashes, read_script, render_page, write_table

if TYPE_CHECKING:
    from onnx import ModelProto


PACKAGE = "onnxruntime-web@1.30.0"  # the release used in the tests
RUNTIME_FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def find_runtime(package: Path) -> Path:
    """The folder with the runtime files: the npm package's folder or its ``dist``.

    Raises:
        InputError: they are in neither; the message names the remedy.
    """
    for folder in (package, package / "dist"):
        if all((folder / name).is_file() for name in RUNTIME_FILES):
            return folder
    raise InputError(
        f"{package}: no onnxruntime-web found (expected {', '.join(RUNTIME_FILES)}); install it with "
        f"npm install {PACKAGE}; --onnxruntime-web (runtime in Python) names its folder elsewhere"
    )


WORKER = "offline/model_worker.js"  # the web worker: tokenizes and runs the model
_POLICY = "<!-- policy -->"


def render_index(about: Mapping[str, Any], task: Task) -> str:
    """``index.html``: with styles, scripts and the worker's script inlined, and a content security policy.

    The worker computes signals, so it has the table of policies too.
    """
    table = policy_table(task.content, per_token=task.per_token)
    worker = write_table(table) + read_script(WORKER)
    html = render_page("offline/offline.html", {**about, "worker": worker}, table)
    return html.replace(
        _POLICY, f'<meta http-equiv="Content-Security-Policy" content="{build_content_policy(html)}">', 1
    )


def build_content_policy(html: str) -> str:
    """A content security policy: the page's own scripts and styles, its own folder, no other address.

    The worker's script is part of the page, so the page's policy also covers the worker.
    """
    return (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {list_hashes(html, 'script')}; "
        f"style-src {list_hashes(html, 'style')}; worker-src blob: 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


MODEL, TOKENIZER = "onnx/model.onnx", "tokenizer.json"  # where transformers.js looks for them
CONTENTS = (MODEL, TOKENIZER, "tokenizer_config.json", "config.json", "index.html")


def write_page(
    model: str | Path | None,
    policy: str | Policy | None,
    folder: str | Path,
    *,
    runtime: str | Path = "node_modules/onnxruntime-web",
    dtype: Dtype = "float32",
    dials: Dials = "fixed",
) -> Path:
    """Write ``folder/index.html`` and the files that it needs, all or none; return the page's path.

    ``runtime`` is the folder of the npm package onnxruntime-web. With ``dials`` the policy's numbers are sliders of the
    page and inputs without defaults of the file, because onnxruntime-web supports no defaults; without, the file is a
    drop-in for any text classifier. Beside ``logits`` it returns ``depth``, ``reason`` and ``trace [depths run, batch,
    classes]``, the logits of each depth. The page of a token classifier cuts a text that is longer than the model.

    >>> write_page(None, None, "site", dtype="int8", dials="required")

    Raises:
        BundleError: the model cannot be used.
        PolicyError: the policy cannot be read.
        InputError: onnxruntime-web is missing, a page cannot run the model or its tokenizer, or the folder cannot be
            written.
        MissingExtra: the package onnx is not installed.
    """
    target, package = Path(folder), find_runtime(Path(runtime))
    bundle = Bundle.open(model)
    for name in (*CONTENTS, *(f"runtime/{name}" for name in RUNTIME_FILES)):
        check_not_input(target / name, bundle.folder.iterdir())
    chosen = bundle.resolve_policy(policy)
    tokenizer, settings = read_page_tokenizer(bundle)
    page_dials: Dials = "fixed" if dials == "fixed" else "required"
    proto = add_trace_output(
        build_checked_model(bundle.folder, policy, dtype=dtype, dials=page_dials, extra_outputs=True)
    )
    contents = {
        MODEL: proto.SerializeToString(),
        TOKENIZER: tokenizer.encode(),
        "tokenizer_config.json": to_json_bytes(settings),
        "config.json": to_json_bytes(build_albert_config(bundle)),
    } | {f"runtime/{name}": (package / name).read_bytes() for name in RUNTIME_FILES}
    about = build_page_data(bundle, proto, contents, describe_dials(chosen) if page_dials == "required" else [])
    contents["index.html"] = render_index(about, bundle.config.task).encode()
    write_files(target, contents)
    return target / "index.html"


def add_trace_output(proto: ModelProto) -> ModelProto:
    """Add the output ``trace [depths run, batch, classes]`` to a file: the logits after every depth of the loop.

    Of a token classifier it is ``[depths run, batch, tokens, classes]``. Rows that exited keep their logits. Without
    signals in the policy, no logits exist before the last depth, and the file is returned as it is.
    """
    import onnx

    loops = [node for node in proto.graph.node if node.op_type == "Loop"]
    if len(loops[0].output) == 1:  # only the hidden states are carried
        return proto
    (body,) = (attribute.g for attribute in loops[0].attribute if attribute.name == "body")
    answers = body.output[1]  # the first carried value, after the loop condition
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(answers)
    copy.name = "trace_here"
    body.node.append(onnx.helper.make_node("Identity", [answers.name], [copy.name], name=copy.name))
    body.output.append(copy)
    loops[0].output.append("trace")
    shape = [dim.dim_param or dim.dim_value for dim in proto.graph.output[0].type.tensor_type.shape.dim]
    proto.graph.output.append(onnx.helper.make_tensor_value_info("trace", FLOAT, ["depths", *shape]))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def describe_dials(policy: Policy) -> list[dict[str, Any]]:
    """The policy's dials for the page: range, default, and the value at which the rule never fires (``never``)."""
    own: dict[str, Dial] = {}
    for one in bind_dials(Graph(), policy, "required"):
        own |= {dial.name: dial for dial in one.dials.values()}
    return [
        {
            "name": dial.name,
            "value": dial.default,
            "low": dial.low,
            "high": dial.high,
            "whole": isinstance(dial.default, int),
            "never": dial.never,
        }
        for dial in own.values()
    ]


def build_page_data(
    bundle: Bundle, proto: ModelProto, contents: Mapping[str, bytes], dials: list[dict[str, Any]]
) -> dict[str, Any]:
    """Facts about model and files for the page: onnxruntime-web does not expose a file's metadata."""
    facts = {fact.key: fact.value for fact in proto.metadata_props}
    task = TASKS[facts["problem_type"]]
    fetched = {"model": MODEL, "tokenizer": TOKENIZER} | {
        part: f"runtime/{name}" for part, name in zip(("script", "module", "runtime"), RUNTIME_FILES, strict=True)
    }
    return {
        "model": bundle.folder.name,
        "labels": json.loads(facts["labels"]),
        "reasons": json.loads(facts["reasons"]),
        "depths": int(facts["depths"]),
        "policy": facts["policy"],
        "note": facts.get("note"),
        "problem": facts["problem_type"],
        "multi_label": task.multi_label,
        "answers": task.answer_kind,
        "unit": bundle.config.scale,
        "aggregation": bundle.config.aggregation,
        "reads_words": any(declared.name == WORD_STARTS for declared in proto.graph.input),
        "dtype": facts["dtype"],
        "version": __version__,
        "max_length": bundle.load_tokeniser().max_length,
        "dials": dials,
        "traced": any(output.name == "trace" for output in proto.graph.output),
        "files": fetched,
        "bytes": sum(len(contents[fetched[part]]) for part in ("model", "tokenizer", "runtime")),
        "model_bytes": len(contents[MODEL]),
    }


def build_albert_config(bundle: Bundle) -> dict[str, Any]:
    """The model's ``config.json`` with the architecture that transformers.js knows; the ONNX file holds the rest."""
    known = {"model_type": "albert", "architectures": [f"Albert{bundle.config.task.architecture}"]}
    return read_config_file(bundle.folder) | known


def to_json_bytes(values: Mapping[str, Any]) -> bytes:
    """Encode a JSON settings file."""
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
