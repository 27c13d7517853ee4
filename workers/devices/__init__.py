"""Turns on the devices of this machine, and what they cost."""
