"""Schemas of every request and answer: each msgspec Struct is parser, validator and JSON schema in one."""
