"""Backend tuning for this machine, each setting tested before it is used.

Measured speed-ups are in ``docs/log.md``. A setting changes rounding at most; the active ones are saved in the run's
recipe, since a resumed run is bitwise identical only with the same settings.
"""

from __future__ import annotations

import ctypes
import math
import platform

import torch

from seisei import seeds

# mallopt(3): M_MMAP_MAX and M_TRIM_THRESHOLD of glibc's malloc.h.
M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1


def keep_pages() -> bool:
    """Make the allocator reuse freed memory: a fresh large tensor costs a page fault every 4 kB. glibc only."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def product_error(size: int = 512, dtype: torch.dtype = torch.float32) -> float:
    """Largest error of a product of standard normal (size, size) matrices against float64, in units of √size."""
    a, b = torch.randn(2, size, size, generator=seeds.generator("probe"))
    product = (a.to(dtype) @ b.to(dtype)).double()
    worst = float((product - a.double() @ b.double()).abs().max())
    return worst / math.sqrt(size)


def route_float32(on: bool, limit: float = 1e-4) -> bool:
    """Route float32 matrix products on the CPU to oneDNN, up to twice as fast where MKL picks a slow path.

    The setting also *permits* bf16 arithmetic, which a CPU with matrix units may use: the accuracy of a product is
    measured, and the setting is reverted unless it matches float32 (measured 3e-6 here; bf16 would give 1e-2).
    """
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if matmul is None or not hasattr(matmul, "fp32_precision"):
        return False
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16" if on else "none"
    if on and product_error() > limit:
        matmul.fp32_precision = before
        return False
    return on


def float32_is_routed() -> bool:
    """Whether float32 matrix products currently go to oneDNN."""
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    return getattr(matmul, "fp32_precision", "none") == "bf16"


def bf16_is_emulated(device: torch.device) -> bool:
    """True on a CPU without bf16 instructions, where a convolution takes many times as long as in float32."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and supported is not None and not supported()


def bf16_works(device: torch.device, limit: float = 0.05) -> bool:
    """True if bf16 products work and are as accurate as bf16 allows (about 0.01 in the units of `product_error`)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    try:
        return product_error(256, torch.bfloat16) <= limit
    except RuntimeError:
        return False
