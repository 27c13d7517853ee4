"""Trying sizes: one pair in memory is every size at once, and each of them writes text."""
