"""Texts as a tokenizer sees them: packed, marked, cut into windows, mixed."""
