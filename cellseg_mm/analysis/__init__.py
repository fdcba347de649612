"""What a data set and a data loader hold: statistics, anchors that fit, pictures of samples."""
