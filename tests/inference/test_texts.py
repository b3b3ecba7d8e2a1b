"""What the classifier takes for a text, and how it names what it does not take."""

import pytest

from elbert.classifier import Classifier
from elbert.errors import InputError
from tiny import write_bundle


def test_a_bad_text_is_named_by_its_place_in_the_whole_input(bundle_folder):
    stream = Classifier.load(bundle_folder).stream(["fine"] * 6 + [None])
    assert len([next(stream) for _ in range(6)]) == 6  # all before it are answered first
    with pytest.raises(InputError, match="text 6 is NoneType"):
        next(stream)


@pytest.mark.parametrize("wrong", ["\udcff", ("fine", "\ud800")])
def test_a_lone_surrogate_is_no_character(bundle_folder, wrong):
    with pytest.raises(InputError, match="text 1 holds a lone surrogate"):
        Classifier.load(bundle_folder).predict(["fine", wrong])


def test_a_pair_may_be_a_list(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    assert classifier.predict([["the film", "is good"]]) == classifier.predict([("the film", "is good")])


def test_pairs_need_a_second_segment(tmp_path):
    classifier = Classifier.load(write_bundle(tmp_path, type_vocab_size=1))
    with pytest.raises(InputError, match="the model knows only 1; it takes single texts, no pairs"):
        classifier.predict([("a", "b")])
