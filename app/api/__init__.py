"""What programs ask for: families, sizes, events, health and the Hub's calls, as JSON."""
