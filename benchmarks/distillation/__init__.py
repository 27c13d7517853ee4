"""Distilling side by side with a plain loop: speed, memory, and loss against tokens."""
