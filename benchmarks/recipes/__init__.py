"""Recipes compared at equal time on the small teacher."""
