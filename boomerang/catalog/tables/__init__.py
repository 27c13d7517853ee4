"""The catalog's tables. Times are Unix seconds (UTC), the same on every database."""
