"""The capabilities of this machine's processor."""

from pathlib import Path

PROCESSORS = Path("/proc/cpuinfo")
# Linux's names of the instruction sets that multiply bfloat16.
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})


def flags(path: Path = PROCESSORS) -> frozenset[str]:
    """Return the first processor's flags, as Linux lists them; none where it doesn't."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), frozenset())


def multiplies_bfloat16() -> bool:
    """Return whether the processor has bfloat16 instructions, without which bfloat16 is slower than float32."""
    return bool(BFLOAT16 & flags())


def has_bfloat16_matrices() -> bool:
    """Return whether the processor multiplies matrices of bfloat16 as such (Intel AMX)."""
    return "amx_bf16" in flags()
