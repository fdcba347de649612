"""Views, scales, tiles and their fusion: what runs inside a test step."""
