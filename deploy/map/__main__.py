"""Entry point of the MAP image: ``python /opt/holoscan/app``."""

import sys

from stack import with_enough_stack

with_enough_stack()  # before the heavy imports of `app`

from app import main  # noqa: E402

sys.exit(main())
