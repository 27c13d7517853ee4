"""What a worker says of itself: a line for each task, figures, whether it is there."""
