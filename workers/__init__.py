"""The back end: Celery tasks that distil, measure, assemble and publish."""
