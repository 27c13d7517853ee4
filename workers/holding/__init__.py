"""Holding work: leases that are renewed, waiting for trouble to pass, giving work back out."""
