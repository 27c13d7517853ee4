"""What the Hub answers: accounts, reading, writing, and the two lanes of large files."""
