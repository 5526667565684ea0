"""The process that holds the weights: loads FLUX with diffusers and serves Modular MAX's wire, several requests at a
time. It imports neither the gateway nor its adapter; torch is there only in its own environment (extra `worker`)."""
