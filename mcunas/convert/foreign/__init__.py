# SPDX-License-Identifier: Apache-2.0
"""Programs for the Python that has TensorFlow: `run.py` is started there as a script and knows nothing of mcunas.

TensorFlow needs minutes to install, ten seconds to import, and pins of its own; so it lives in an environment of its own
(or beside mcunas, by the extra `mcunas[tensorflow]`) and only ever runs in a process of its own.
"""
