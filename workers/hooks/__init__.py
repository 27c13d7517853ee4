"""Webhooks: following teachers to their new commits, and telling who wants to be told."""
