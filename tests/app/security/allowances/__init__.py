"""Tests of what keys and addresses may ask for."""
