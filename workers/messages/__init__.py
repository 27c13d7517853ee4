"""Messages of the queue: what becomes of those that no worker can read."""
