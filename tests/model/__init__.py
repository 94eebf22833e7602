"""The oracle: MedSync's rules in plain Python, from its specification. Start reading at `state.py`."""
