"""`boomerang serve` and `boomerang worker`: the processes of the service."""
