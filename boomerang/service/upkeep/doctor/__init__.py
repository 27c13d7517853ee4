"""Whether a set-up is right: each part of it looked at from here, and what helps where not."""
