"""Every size of a family under each order, beside pruning and beside students of their own."""
