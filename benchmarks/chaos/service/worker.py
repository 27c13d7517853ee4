"""The workers' application, which puts back within a run what a killed one left unacknowledged.

kombu looks for such messages every hundred seconds, those of an hour ago, and whoever is killed
while it looks keeps the others from looking for five minutes: all longer than a run is patient.
"""

from workers.celery_app import app

VISIBLE_SECONDS = 5

options = dict(app.conf.broker_transport_options)
app.conf.broker_transport_options = options | {
    "visibility_timeout": VISIBLE_SECONDS,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 10,
}
