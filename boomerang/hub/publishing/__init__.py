"""What publishing consists of: what differs, what is copied, what is sent and how, one commit."""
