"""Endings of image files."""

SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".btf", ".svs", ".ndpi", ".mrxs"),
    *(".scn", ".vms", ".vmu", ".bif", ".svslide", ".dcm", ".czi"),
}
"""Of the files that are taken from a folder; lower case."""
