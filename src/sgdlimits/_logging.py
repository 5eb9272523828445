"""The package's logger, named "sgdlimits": what it does that is no result and no warning.

Silent unless asked: ``logging.basicConfig(level=logging.INFO)``, or ``sgdlimits --verbose``.
"""

import logging

logger = logging.getLogger("sgdlimits")
logger.addHandler(logging.NullHandler())
