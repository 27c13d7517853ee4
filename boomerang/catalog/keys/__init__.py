"""Keys, who owns what, what was done, and how much was used."""
