"""Whether the guards guard: each planted failure of `scripts/guards` must be found."""
