"""What a model gets wrong, and how sure its scores are."""
