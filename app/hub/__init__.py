"""The Hub's reading interface, so that its own client loads members from here."""
