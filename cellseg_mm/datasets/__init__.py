"""The data set and its transforms."""
