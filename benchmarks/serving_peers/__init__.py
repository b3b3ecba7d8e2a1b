"""Servers that the benchmark compares, each a process of its own, and the load that it puts on them.

Every server answers ``POST /predict`` with ``{"inputs": text}`` in text-embeddings-inference's form, a list of
``{"label", "score"}``, the best first; so one load generator serves all.
"""
