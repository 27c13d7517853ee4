"""From `POST /families` to the records of a family."""
