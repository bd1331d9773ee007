"""In which numbers a network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fearlib.errors import InputError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bfloat16")  # as torch calls them


def resolve_precision(precision: str, device: str | None = None) -> str:
    """ "bfloat16" or "float32"; "auto" is the first if `device` computes with it, else the second.

    `device` is "cuda" or "cpu"; a GPU, where there is one, unless given. A processor without bfloat16 instructions
    is several times slower with it than with float32. Raises InputError for another.
    """
    if precision not in (*PRECISIONS, "auto"):
        raise InputError(f"unknown precision {precision!r}: {', '.join(PRECISIONS)} or auto is allowed.")
    if precision != "auto":
        return precision
    import torch  # here, for a name is refused without it

    if torch.cuda.is_available() if device is None else device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bfloat16" if native else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Within, forward passes run in "bfloat16" or "float32", whatever autocast the caller has.

    It remembers no weights: torch forgets them only where the outermost autocast ends, not after a step in it.
    """
    import torch

    numbers = getattr(torch, precision)
    return torch.autocast(device.type, numbers, enabled=precision != "float32", cache_enabled=False)
