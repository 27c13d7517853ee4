"""The workers' application with a visibility timeout that passes within a run."""

from workers.celery_app import app

VISIBLE_SECONDS = 5

options = dict(app.conf.broker_transport_options)
app.conf.broker_transport_options = options | {"visibility_timeout": VISIBLE_SECONDS}
