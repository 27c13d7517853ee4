"""One distillation on many devices."""
