"""Outbound calls: what is to be rung, the rules of when, and what came of it."""
