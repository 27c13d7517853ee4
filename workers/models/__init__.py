"""The models that jobs work with: fetched, verified, set aside where damaged."""
