"""Files of a model folder with changed values or damaged bytes, and policy specs: an answer, or one line that is ours.

No other exception, no endless loop, no memory far above the model's. ``make slow`` draws many more.
"""

import json
import resource
import shutil
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elbert.bundle import Bundle
from elbert.classifier import Classifier
from elbert.errors import ElbertError, PolicyError
from elbert.exits import check_policy, policy
from elbert.exits.policies import POLICIES

MEMORY = 400 << 20  # bytes that loading any changed folder of a tiny model may add
JSON_FILES = ("config.json", "exits.json", "tokenizer.json", "tokenizer_config.json")
NUMBERS = st.sampled_from([0, -1, 1, 2, 3, 7, 2**31, 10**9, 2**63, 10**30, 0.5, -0.0, 1e-300, 1e300])
VALUE = (
    NUMBERS
    | st.none()
    | st.booleans()
    | st.text(max_size=8)
    | st.sampled_from(["albert", "gelu", "[CLS]", "depth(1)", "entropy(0.1)|entropy(0.1)", "\ud800", "x" * 5000])
    | st.lists(NUMBERS, max_size=3)
    | st.dictionaries(st.text(max_size=4), NUMBERS, max_size=3)
)
POINTS = {
    "version": 1,
    "default": "fast",
    "points": {"fast": {"policy": "window(entropy=0.1, size=3)", "measured": {"mean_depth": 2.0}}},
    "precisions": {"int8": {"auto": True}},
}


def places(values, path=()):
    """Every place of a JSON value: the keys and indices that lead to it."""
    yield path
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def replace(values, path, value):
    """The JSON value with another one at a place; a value of ``...`` removes the place."""
    if not path:
        return value if value is not ... else {}
    copy = dict(values) if isinstance(values, dict) else list(values)
    if len(path) == 1 and value is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = replace(copy[path[0]], path[1:], value)
    return copy


def try_folder(folder):
    """Load and predict; only our own errors are allowed, in one printable line of bounded length."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        predictions = Classifier.load(folder, device="cpu").predict(["a good film", ""])
        assert len(predictions) == 2
    except ElbertError as error:
        message = str(error)
        assert "\n" not in message
        assert len(message) < 2000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY


@pytest.fixture
def folder(bundle_folder, tmp_path):
    copy = shutil.copytree(bundle_folder, tmp_path / "model")
    (copy / "exits.json").write_text(json.dumps(POINTS))
    return copy


def fuzz(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


SIZES = [pytest.param(60, id="short"), pytest.param(3000, marks=pytest.mark.slow, id="long")]


@pytest.mark.filterwarnings("ignore::elbert.bundle.ConditionsWarning")
@pytest.mark.parametrize("file", JSON_FILES)
@pytest.mark.parametrize("examples", SIZES)
def test_changed_values(folder, file, examples):
    values = json.loads((folder / file).read_text())
    every = [path for path in places(values) if path]

    @fuzz(examples)
    @given(st.lists(st.tuples(st.sampled_from(every), VALUE | st.just(...)), min_size=1, max_size=3))
    def change(changes):
        changed = values
        for path, value in changes:
            try:
                changed = replace(changed, path, value)
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change removed this place
        (folder / file).write_text(json.dumps(changed))
        try_folder(folder)

    change()


@pytest.mark.parametrize("file", [*JSON_FILES, "model.safetensors"])
@pytest.mark.parametrize("examples", SIZES)
def test_damaged_bytes(folder, file, examples):
    content = (folder / file).read_bytes()

    @fuzz(examples)
    @given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=6)), min_size=1, max_size=3))
    def damage(changes):
        damaged = content
        for where, removed, inserted in changes:
            at = int(where * len(damaged))
            damaged = damaged[:at] + inserted + damaged[at + removed :]
        (folder / file).write_bytes(damaged)
        try_folder(folder)

    damage()


@pytest.mark.parametrize("examples", SIZES)
def test_headers_of_weights(folder, examples):
    """Shapes, types and offsets that lie about the bytes."""
    content = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    every = [path for path in places(header) if path]

    @fuzz(examples)
    @given(st.sampled_from(every), VALUE | st.just(...) | st.sampled_from(["F64", "BF16", "I8", "F8_E4M3", "BOOL"]))
    def change(path, value):
        encoded = json.dumps(replace(header, path, value)).encode()
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
        try_folder(folder)

    change()


NAME = st.sampled_from([*POLICIES, "tempered", "fast", "unknown"])
ARGUMENT = st.sampled_from(
    ["", "0", "1", "3", "-1", "0.5", "1e-9", "1e999", "nan", "10**9", "size=2", "rule=trend", "x=1", "٣"]
)
CALL = st.builds(lambda name, arguments: f"{name}({', '.join(arguments)})", NAME, st.lists(ARGUMENT, max_size=3))
SPEC = st.recursive(
    CALL | NAME | st.text(max_size=12),
    lambda inner: st.builds("{} | {}".format, inner, inner) | st.builds("tempered({}, {})".format, inner, ARGUMENT),
    max_leaves=40,
)


@pytest.mark.parametrize(
    "examples", [pytest.param(500, id="short"), pytest.param(20_000, marks=pytest.mark.slow, id="long")]
)
def test_policy_specs(examples):
    @fuzz(examples)
    @given(SPEC)
    def parse(spec):
        try:
            found = check_policy(policy(spec), 6)
        except PolicyError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 2000
            return
        assert policy(str(found)) == found  # it prints as a spec that means the same

    parse()


def test_the_unchanged_folder_answers(folder):
    assert Bundle.open(folder).default == "fast"
    try_folder(folder)
