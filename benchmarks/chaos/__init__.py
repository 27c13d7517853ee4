"""Processes of a service killed at random: is anything lost?"""
