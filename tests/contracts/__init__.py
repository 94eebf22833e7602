"""Every entry point of every contract, called as every role: results, events, errors, storage."""
