"""The schema of the catalog, and the steps from each older one to it (Alembic)."""
