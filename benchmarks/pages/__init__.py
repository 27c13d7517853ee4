"""What the pages cost while many look at them: `make bench-pages`."""
