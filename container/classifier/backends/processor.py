"""What this machine's processor can do."""

from pathlib import Path

PROCESSORS = Path("/proc/cpuinfo")
# Linux's names of the instructions that multiply numbers of bfloat16.
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})


def flags(path: Path = PROCESSORS) -> frozenset[str]:
    """Return the names of the first processor's abilities, as Linux lists them; none where it doesn't."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), frozenset())


def multiplies_bfloat16() -> bool:
    """Say whether the processor computes with bfloat16 by itself, and is not slowed down by it."""
    return bool(BFLOAT16 & flags())
