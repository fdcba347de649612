"""``python -m cellseg_mm`` is ``cellseg``."""

from cellseg_mm.cli.main import main

main()
