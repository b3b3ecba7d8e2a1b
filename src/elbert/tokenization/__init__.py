"""Tokenization: texts to token ids, with the tokenizer of the model folder."""

from __future__ import annotations

from elbert.tokenization.tokenizer import Tokeniser
from elbert.tokenization.tokens import Tokens

__all__ = ["Tokeniser", "Tokens"]
