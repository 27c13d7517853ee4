"""What the page of a size says: how it is run, its files, where it comes from, its card."""
