"""The service as it runs in a team, each part a process that can be struck, and its models."""
