"""The public names: what `import elbert` offers, and what the import costs."""

import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import elbert
from elbert import errors
from elbert._optional import require


def test_all_is_sorted_and_complete():
    assert elbert.__all__ == sorted(set(elbert.__all__))
    assert dir(elbert) == elbert.__all__
    contract = {"Classifier", "ElbertForSequenceClassification", "policy", "replay", "load_outputs", "bundled_model"}
    assert contract | {"Prediction", "ElbertError"} <= set(elbert.__all__)


@pytest.mark.parametrize("name", elbert.__all__)
def test_every_name_exists_and_is_documented(name):
    found = getattr(elbert, name)
    if name != "__version__":
        assert found.__name__ == name
        assert found.__module__.startswith("elbert.")
        assert inspect.getdoc(found)


@pytest.mark.parametrize("name", ["Classifier", "Policy", "Prediction"])
def test_public_methods_are_documented(name):
    for method, value in vars(getattr(elbert, name)).items():
        if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, (classmethod, property))):
            assert inspect.getdoc(value), f"{name}.{method}"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'elbert' has no attribute 'Clasifier'"):
        elbert.Clasifier  # noqa: B018


def test_import_is_light():
    code = (
        "import sys, elbert; heavy = {'torch', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_inference_needs_neither_transformers_nor_the_extras(bundle_folder):
    """Importing what `pip install elbert` needs for inference takes a second; transformers would take ten."""
    code = (
        f"import sys, elbert; elbert.Classifier.load({str(bundle_folder)!r}).predict(['a film']);"
        "heavy = {'transformers', 'sklearn', 'scipy', 'accelerate', 'pyarrow'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_is_typed():
    assert (Path(elbert.__file__).parent / "py.typed").is_file()


def test_all_errors_are_under_one():
    raised = {n: e for n, e in vars(errors).items() if inspect.isclass(e) and issubclass(e, BaseException)}
    assert all(issubclass(error, elbert.ElbertError) for error in raised.values())
    assert set(raised) <= set(elbert.__all__)
    for name in raised:
        assert name in errors.__doc__, f"{name} is missing from the tree at the top of errors.py"
    assert issubclass(elbert.PolicyError, ValueError)
    assert issubclass(elbert.InputError, ValueError)
    assert issubclass(elbert.MissingExtra, ImportError)
    assert issubclass(elbert.BadRow, elbert.DataError)


def test_a_bad_row_survives_pickling():
    row = pickle.loads(pickle.dumps(elbert.BadRow("data.csv", 7, "no label")))
    assert (str(row), row.source, row.line, row.why) == ("data.csv:7: no label", "data.csv", 7, "no label")


def test_a_missing_extra_names_its_command(monkeypatch):
    with pytest.raises(elbert.MissingExtra, match=r"this needs nowhere_at_all: pip install 'elbert\[plots\]'"):
        require("nowhere_at_all.inside", "plots")
    assert require("json", "plots").loads("1") == 1


def test_an_error_inside_an_extra_is_not_reported_as_missing(tmp_path, monkeypatch):
    (tmp_path / "faulty_extra.py").write_text("import something_else_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_else") as caught:
        require("faulty_extra", "plots")
    assert not isinstance(caught.value, elbert.MissingExtra)
