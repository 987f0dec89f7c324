"""How much is done at a time."""

TILE = {"cpu": 1024, "cuda": 4096}  # rows and columns of a tile; measured: 512 … 1,024 on CPUs


def little(shape: tuple[int, int]) -> bool:
    """Whether n × m is so little (512 rows among themselves, 1 MiB) that whole matrices of weights cost fewer calls than any road."""
    return max(shape) <= TILE["cpu"] // 2
