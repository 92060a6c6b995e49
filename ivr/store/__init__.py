"""Calls, legs and turns in a database; the one place for SQL."""
