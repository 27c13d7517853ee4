"""The demo: one request, end to end, on the small teacher of the examples."""
