"""The private side on whole nodes: embedded ones, recorded ones, real ones."""
