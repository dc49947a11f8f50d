"""The published weight files of the learned metrics: lists, finds, fetches and checks them."""
