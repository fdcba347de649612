"""What deserves a look in a data set: a check a file."""
