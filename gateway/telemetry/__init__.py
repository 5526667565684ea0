"""What an operator sees of the gateway from outside: metrics, logs and traces."""
