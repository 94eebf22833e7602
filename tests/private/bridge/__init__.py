"""The bridge: collecting, anchoring, attesting, issuing tickets, proving."""
