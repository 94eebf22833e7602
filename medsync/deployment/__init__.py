"""Deployments: the deployer, the records of what was deployed, local devnets, and the pinned tools."""
