"""How a student is trained for a task: the trainer's command line, and what it says on the way."""
