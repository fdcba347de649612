"""Data structures for images with many instances: planes, label-map masks, box-local masks."""
