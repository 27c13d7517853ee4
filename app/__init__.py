"""The front end: takes requests, answers from the catalog, streams members. Loads no torch."""
