"""A family of models: layer map, compositions, patch orders, the pair, the ladder."""
