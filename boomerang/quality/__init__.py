"""How good each member of a family is: measured, checked, and compared with others."""
