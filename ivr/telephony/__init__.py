"""The brain's side of the line processes: pool, admission, dialling rules, the edge proxy."""
