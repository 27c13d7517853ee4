"""What publishing a family sends, how much memory it needs, and what a kill costs it."""
