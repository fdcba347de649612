"""Pictures: outlines of cells on images, predictions beside truth, learning curves."""
