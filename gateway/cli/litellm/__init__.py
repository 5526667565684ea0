"""A LiteLLM configuration read and translated: reading.py holds its shape, providers.py who speaks which API, routes.py
what becomes of an entry, translation.py what becomes of the whole, variables.py where its keys go, writing.py the file
that comes of it."""
