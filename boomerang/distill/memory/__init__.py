"""What a distillation takes of a device's memory, counted before it is taken."""
