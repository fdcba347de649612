"""Ablations: a ladder of configs, trained over folds and seeds, as tables with error bars."""
