"""`python -m gateway.cli`, the same as `imagegate`."""

import sys

from gateway.cli import main

sys.exit(main())
