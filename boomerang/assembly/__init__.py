"""From a composition to files that are lists of byte ranges; reading and writing them."""
