"""The local web page and its HTTP interface: ``cellseg serve``. Needs the extra ``[serve]``."""
