"""The wire: the only package that knows an upstream's field names, and the only one that reaches for the network."""
