"""Images of every format, read by region."""
