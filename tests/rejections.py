"""A model folder that is refused: the error in one line, which names the folder and what is wrong."""

import pytest

from elbert.classifier import Classifier
from elbert.errors import BundleError


def check_rejected(folder, *parts):
    """Check that loading the folder is one line that holds the folder and the parts; return the line."""
    with pytest.raises(BundleError) as caught:
        Classifier.load(folder)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(folder), *parts):
        assert part in message
    return message
