"""Published weights of the learned metrics: listed, found, fetched, checked."""
