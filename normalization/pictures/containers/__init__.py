"""One module a file format: `read` tells what the header says, `cut` takes away what is not picture.

Both walk the container in Python without decoding a pixel, in a bounded number of steps; a file that does not reach
its own end is refused. Neither imports Pillow: they run in the gateway's process, on bytes that nobody vouches for.
"""

STEPS_MOST = 1 << 16
"""Chunks, segments, blocks or boxes in one file: a hundred times what encoders write at 50 MB."""
