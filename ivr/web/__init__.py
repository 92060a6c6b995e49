"""The HTTP doors: API, health, metrics."""
