"""Commands about the instrument itself: what it measures, what it sees, what it needs."""
