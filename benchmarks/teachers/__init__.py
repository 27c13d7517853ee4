"""The shipped recipe beside the published one, at equal time, on teachers that differ."""
