"""The scripts that make teachers and text."""
