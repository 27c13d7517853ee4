"""The JSON of every answer: its models, and how it is made of the records of the catalog."""
