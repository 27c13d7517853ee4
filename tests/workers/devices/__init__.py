"""Tests of turns on devices, with real workers."""
