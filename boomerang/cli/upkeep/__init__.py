"""Commands of whoever looks after a service."""
