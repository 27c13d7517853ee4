"""How much a key or an address may ask for: its allowance, and how often it may come."""
