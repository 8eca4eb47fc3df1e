# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite Micro with CMSIS-NN on the MLPerf Tiny models: the figures that ours stand beside.

Measured in QEMU 7.2 in November 2026: tflite-micro 90b983c2, CMSIS-NN 4ab83cc3, arm-none-eabi-gcc 12.2.1, int8-only
kernel registrations; every output equal to the PyPI interpreter's. flash: the image beyond the model file, at TFLM's
release flags (-Os core, -O2 kernels). instructions: one inference, everything at -O3.
"""
from __future__ import annotations

ARENA_BYTES = {"kws": 22_820, "ic": 54_996, "vww": 100_708, "ad": 2_580}
FLASH_BYTES = {"kws": 53_396, "ic": 51_200, "vww": 53_396, "ad": 28_060}
INSTRUCTIONS = {
    "mps2-an386": {"kws": 7_843_631, "ic": 29_873_218, "vww": 24_719_943, "ad": 582_244},
    "mps2-an500": {"kws": 7_759_665, "ic": 29_937_416, "vww": 24_483_701, "ad": 582_568},
    "mps3-an547": {"kws": 1_783_435, "ic": 4_810_108, "vww": 6_432_753, "ad": 149_830},
    "mps2-an385": {"kws": 10_544_482, "ic": 41_758_531, "vww": 32_085_119, "ad": 956_708},
    "mps2-an385-m0plus": {"kws": 28_998_557, "ic": 97_568_156, "vww": 86_877_766, "ad": 1_762_976},
}
# CMSIS-NN's kernels alone, at the same commit and -O3, counted and priced as ours are (mcunas/cost/cycles.py).
MODELLED_CYCLES = {
    "mps2-an386": {"kws": 9_509_491, "ic": 36_655_390, "vww": 30_395_115, "ad": 736_382},
    "mps2-an500": {"kws": 6_686_105, "ic": 25_209_350, "vww": 21_416_147, "ad": 521_928},
    "mps3-an547": {"kws": 2_024_547, "ic": 5_250_404, "vww": 7_415_086, "ad": 158_400},
    "mps2-an385": {"kws": 16_710_145, "ic": 71_299_892, "vww": 50_491_682, "ad": 1_688_503},
    "mps2-an385-m0plus": {"kws": 39_938_758, "ic": 137_236_469, "vww": 119_711_248, "ad": 2_354_607},
}
# The best published results on a Cortex-M4: NUCLEO-L4R5ZI at 120 MHz, MLPerf Tiny, ms x MHz. X-CUBE-AI 9 (kws, ic, vww
# without dead channels), Plumerai 2023.05 (ad).
SILICON_M4_CYCLES = {"kws": 5_183_000, "ic": 19_814_000, "vww": 10_672_000, "ad": 486_000}
