"""Child processes: started, watched, spoken with in JSON lines, stopped."""
