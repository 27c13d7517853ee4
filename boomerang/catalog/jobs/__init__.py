"""Jobs read from the catalog: none of it changes anything."""
