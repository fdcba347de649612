"""What the tools do around MMEngine's runner: config, weights, evaluation."""
