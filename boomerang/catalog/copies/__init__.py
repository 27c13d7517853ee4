"""The catalog as files that either database reads: written from one, loaded into another."""
