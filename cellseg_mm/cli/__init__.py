"""The command `cellseg`."""
