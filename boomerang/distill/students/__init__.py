"""Students: how one begins, how it is written, and how one is adapted to a fine-tune."""
