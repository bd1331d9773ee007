"""In which numbers a network is trained."""

from fearlib.errors import InputError

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
