"""Random numbers from a seed that leave the user's own as they were."""

import contextlib

import torch

from fearlib.errors import check_seed


@contextlib.contextmanager
def seeded(seed: int, device: torch.device | str = "cpu"):
    """Within, torch's generators of the processor and of `device` begin at `seed`; afterwards they are as before.

    Those of other devices are not touched. Raises InputError for a seed that is no integer of 64 bits.
    """
    seed, device = check_seed(seed), torch.device(device)
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
