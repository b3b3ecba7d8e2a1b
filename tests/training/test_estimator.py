"""The estimator in scikit-learn's own tools."""

import pickle
import shutil

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from small import MILD, STILL, rows

import elbert
from elbert.errors import InputError
from tiny import write_bundle

TEXTS = [text for text, _ in rows(24)]
CLASSES = {
    "numbers": np.arange(24) % 2,
    "floats": np.arange(24) % 2 + 0.5,
    "names": np.array(["no", "yes"])[np.arange(24) % 2],
    "booleans": np.arange(24) % 2 == 1,
    "ten and two": np.array([10, 2])[np.arange(24) % 2],
}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return str(write_bundle(tmp_path_factory.mktemp("start") / "start", **STILL, **MILD))


def estimator(start, **changes):
    options = {"use_cpu": True, "max_steps": 6, "per_device_train_batch_size": 8, "learning_rate": 5e-3}
    return elbert.ElbertClassifier(start, options=options | changes, validation=0.2, random_state=1)


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_are_those_of_the_labels(start, kind):
    labels = CLASSES[kind]
    fitted = estimator(start, max_steps=1).fit(TEXTS, labels)
    assert fitted.classes_.tolist() == np.unique(labels).tolist()
    predicted, probabilities = fitted.predict(TEXTS), fitted.predict_proba(TEXTS)
    assert predicted.dtype == labels.dtype
    assert probabilities.shape == (24, 2)
    assert predicted.tolist() == fitted.classes_[probabilities.argmax(1)].tolist()


def test_cross_validation_and_pipelines(start):
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text.lower() for text in texts]), estimator(start))
    scores = cross_val_score(pipeline, TEXTS, CLASSES["names"], cv=2)
    assert scores.shape == (2,) and ((scores >= 0) & (scores <= 1)).all()


def test_a_fitted_estimator_survives_pickling_without_its_folder(start):
    fitted = estimator(start).fit(TEXTS, CLASSES["names"])
    content, expected = pickle.dumps(fitted), fitted.predict_proba(TEXTS)
    shutil.rmtree(fitted.classifier_.bundle.folder)
    assert np.array_equal(pickle.loads(content).predict_proba(TEXTS), expected)
    assert clone(fitted).get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        clone(fitted).predict(TEXTS)


def test_wrong_data_is_one_line(start):
    for texts, labels, message in (
        (TEXTS, [0, 1], "expected 24 labels, one for each text"),
        ("a text", [0], "put it into a list"),
        ([1, 2], [0, 1], "text 0 is int"),
        (TEXTS, [0] * 24, "takes two labels or more"),
    ):
        with pytest.raises(InputError, match=message):
            estimator(start).fit(texts, labels)


@pytest.mark.parametrize(
    ("name", "message"),
    [("max_length", "a parameter of its own"), ("output", "classifier_.save"), ("labels", "found in the y of fit")],
)
def test_options_that_have_another_place_are_one_line(start, name, message):
    with pytest.raises(InputError, match=f"options has '{name}', which is .*{message}"):
        estimator(start, **{name: 8}).fit(TEXTS, CLASSES["names"])


CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_of_scikit_learn_that_need_no_numbers(check):
    getattr(estimator_checks, check)("ElbertClassifier", elbert.ElbertClassifier())
