"""Serving: a classifier for many concurrent callers (``service``), and its HTTP application (``http``)."""
