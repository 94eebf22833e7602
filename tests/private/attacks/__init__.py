"""Whether an erased record can be linked again from all that stayed public."""
