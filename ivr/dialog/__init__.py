"""What to do next: plans and the pure engine that walks them."""
