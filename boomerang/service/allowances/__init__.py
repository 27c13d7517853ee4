"""What a key may use: quotas, rates, and whose turn it is."""
