"""Trying sizes: one pair in memory, held by a child between questions."""
