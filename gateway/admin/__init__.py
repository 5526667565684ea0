"""The operator's endpoints. They read what the services know, decide nothing, and never make a call that could cost."""
