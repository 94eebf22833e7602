"""The private side: records on a private node, released by a verified access log and attested on chain."""
