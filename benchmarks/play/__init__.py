"""What trying sizes costs, beside transformers' generate on each size loaded alone."""
