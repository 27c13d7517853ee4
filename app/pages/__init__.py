"""The dashboard, with its templates and everything that a browser loads."""
