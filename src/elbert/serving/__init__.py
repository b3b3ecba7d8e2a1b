"""Serving: models over HTTP. For now the explorer's small server, for one person on this machine."""

from __future__ import annotations

from elbert.serving.explore import Evaluation, app, most_texts

__all__ = ["Evaluation", "app", "most_texts"]
