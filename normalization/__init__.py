"""What a request means: pure values and functions, with no network, clock or randomness (docs/architecture.md)."""
