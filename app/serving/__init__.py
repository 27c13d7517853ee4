"""From a size to bytes on a socket: volumes, ranges, validators, the thread lanes."""
