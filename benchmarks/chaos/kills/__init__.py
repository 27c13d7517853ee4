"""Children of `boomerang serve` killed at random, with the real trainer: is anything lost?"""
