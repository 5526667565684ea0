"""The public endpoints: a body becomes a request, an outcome becomes a body; nothing is decided here."""
