"""Generated cases, biased to boundaries, in which the contracts and the model must agree."""
