"""Kinds of records: one module each, which reads a channel of them."""
