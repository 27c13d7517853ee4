"""Who may ask what: keys and scopes, sessions of browsers, forms, and the guard at the door."""
