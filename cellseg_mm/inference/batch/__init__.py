"""Many images: which they are, what is done already, and what became of each."""
