"""Training as a worker sees it: the command of a trainer, and its steps on their way."""
