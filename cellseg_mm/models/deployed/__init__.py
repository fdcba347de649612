"""Detectors rearranged for inference: the same cells, in less time."""
