"""Nodes of both kinds under one set of tests, and the embedded node's own storage and runtime."""
