"""The HTTP interface: health, metrics, and the records of calls."""
