"""What whoever runs the service asks of it: keys, and what was done with them."""
