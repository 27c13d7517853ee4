"""What the front end and the workers share: settings, the catalog, the jobs."""
