"""What a family's page makes of its ladder: figures, curves, layers, the size that is meant."""
