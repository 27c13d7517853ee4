"""Front ends that begin in a moment: forked from a process that has imported what they need."""
