# SPDX-License-Identifier: Apache-2.0
"""Device: from a compiled model to firmware, run on its board's core and proven there."""
from mcunas.device.build import Image, build
from mcunas.device.profile import Profile, executed, profile
from mcunas.device.run import connect, run, stream
from mcunas.device.validate import ValidationReport, validate

__all__ = ["Image", "Profile", "ValidationReport", "build", "connect", "executed", "profile", "run", "stream",
           "validate"]
