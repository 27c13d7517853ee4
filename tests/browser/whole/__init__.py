"""What takes every page and a whole service."""
