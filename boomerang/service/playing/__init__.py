"""Trying a size: asked by the front end, answered by a worker, word by word."""
