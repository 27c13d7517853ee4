"""Pictures of every page, of a service with families in every state."""
