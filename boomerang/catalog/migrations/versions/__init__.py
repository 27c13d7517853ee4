"""The steps, oldest first: each says in full what it adds, whatever the tables look like today."""
