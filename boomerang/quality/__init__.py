"""How good each member of a family is, and in which order to patch."""
