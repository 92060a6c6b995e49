"""The store: records of calls in SQLite or PostgreSQL."""
