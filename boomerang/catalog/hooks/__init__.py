"""Webhooks: what the Hub tells of teachers, and who is told of families."""
