"""From a stream of detections to the cells of an image, and to the files that hold them."""
