"""Transforms on images with planes; one file each."""

import os

# Albumentations asks a server for its newest version whenever it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
