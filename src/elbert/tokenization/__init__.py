"""Tokenization: from texts to token ids, as the model folder defines it."""

from __future__ import annotations

from elbert.tokenization.tokenizer import Tokeniser, Tokens

__all__ = ["Tokeniser", "Tokens"]
