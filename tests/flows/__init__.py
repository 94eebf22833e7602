"""Whole stories from end to end, the README's examples and the demo among them."""
