"""Metrics: small pure functions; benchmark scores are compositions of them."""
