"""Hooks, one file each."""
