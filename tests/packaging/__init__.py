"""The wheel and the sdist: what is in them, and what an installed package can do away from any checkout."""
