"""A LiteLLM configuration read and translated: reading.py holds its shape, providers.py who speaks which API,
translation.py what becomes of each entry, secrets.py where its keys go, writing.py the file that comes of it."""
