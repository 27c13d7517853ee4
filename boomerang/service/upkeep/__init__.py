"""Looking after a service: what is wrong with it, what it can do without, and its copies."""
