"""Formats that annotated cells come in, one module each; `registry` knows them by name."""
