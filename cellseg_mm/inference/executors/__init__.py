"""Who does the images of a batch besides this process."""
