"""Trying a size from programs: our own stream of events, and the interface of OpenAI's clients."""
