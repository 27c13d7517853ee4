"""The trainer: one distillation of a teacher makes the student of a family."""
