"""What a model's config says: roles of tensors, kinds of layers, and what is refused."""
