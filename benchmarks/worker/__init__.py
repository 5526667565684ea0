"""The FLUX worker's engine beside the stock diffusers pipeline, in one run, over the same weights."""
