"""What is minimised: cross-entropy, KL and the cosine distance of hidden states."""
