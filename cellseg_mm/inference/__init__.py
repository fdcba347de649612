"""Inference beyond one look at one image: views, fusion of detections, tiles, dumped results."""
