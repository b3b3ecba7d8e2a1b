"""The OpenAPI document, written by hand: every route, every status that can be sent, schemas and examples."""

from __future__ import annotations

from elbert.serving.http.openapi.document import About, document

__all__ = ["About", "document"]
