"""TODO workers/leases."""
