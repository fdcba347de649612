"""Training around the model: hooks, optimizers, precision, files."""
