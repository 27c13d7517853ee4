"""The page of a published model: its metadata and its text."""
