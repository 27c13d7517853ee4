"""How a student is distilled: the recipes, and the keys of what they make. No torch."""
