"""What becomes of a student: distilled, kept on the Hub."""
