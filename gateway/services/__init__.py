"""Things with a lifetime: each a protocol, with an embedded form that needs nothing else installed."""
