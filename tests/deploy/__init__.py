"""Deployments: resumed after any interruption, recorded as the chain has them."""
