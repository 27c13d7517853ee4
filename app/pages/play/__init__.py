"""The page where sizes are tried."""
