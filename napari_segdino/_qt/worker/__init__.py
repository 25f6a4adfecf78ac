"""Jobs in the worker's thread, and work that waits until the user rests."""
