"""The records that replicas share: each keeps its own journal, and tells the others of it by way of Redis."""
