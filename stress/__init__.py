"""Attacks on the project's tools: kills, damaged input, hostile checkpoints."""
