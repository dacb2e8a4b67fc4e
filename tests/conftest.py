"""Settings that every test shares.

Hypothesis measures no deadlines, because a first call may compile, and tries the
same examples every time in CI, where a failure must be the change's own.
"""

import os

from hypothesis import settings

# Read when Keras is imported, which only some tests do.
os.environ.setdefault("KERAS_BACKEND", "jax")

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
