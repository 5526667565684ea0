"""What replicas share, in a Redis server: connection.py is the one way to it, sealing.py what is believed of it."""
