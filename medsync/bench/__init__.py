"""What every operation costs: measured on a devnet, counted, and held against the least it can cost."""
