"""A real Calimero node and the private application: built, checked, started."""
