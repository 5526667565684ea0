"""Several processes as one gateway: who starts them, and what they count together."""
