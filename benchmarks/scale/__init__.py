"""What limits a service with many trainers, many downloads, many families: `make bench-scale`."""
