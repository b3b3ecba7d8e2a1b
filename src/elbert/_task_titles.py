"""The names of tasks on the command line, apart from the tasks, which load numpy: help and completion do without."""

from __future__ import annotations

TITLES = ("single-label", "multi-label", "regression", "token-classification")
SINGLE_LABEL, MULTI_LABEL, REGRESSION, TOKEN_CLASSIFICATION = TITLES
