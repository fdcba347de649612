"""Scores and submissions."""
