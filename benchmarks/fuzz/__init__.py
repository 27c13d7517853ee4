"""The interface under thousands of generated requests, right ones and wrong ones."""
