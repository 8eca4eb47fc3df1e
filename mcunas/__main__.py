# SPDX-License-Identifier: Apache-2.0
"""``python -m mcunas`` is the ``mcunas`` command."""
from mcunas.cli import main

main()
