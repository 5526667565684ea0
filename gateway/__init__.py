"""The service: HTTP in, routing, money and storage."""
