"""Threads as JSON Lines: out of one archive, into another."""
