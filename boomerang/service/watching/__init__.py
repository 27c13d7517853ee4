"""What a service says of itself: logs, traces, figures."""
