"""Building, checking and starting a real Calimero node and the private application."""
