"""The catalog by noun: what can be asked of each, and how each changes."""
