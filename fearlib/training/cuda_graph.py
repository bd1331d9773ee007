"""On a GPU a training step is a thousand small launches: recorded once as a CUDA graph, it is a single one."""

from collections.abc import Callable

import torch

WARM_UP = 3  # steps that run as they are, so that the optimizer's state and the libraries' workspaces exist


def recorded_step(
    step: Callable[[torch.Tensor, torch.Tensor], None], optimizer: torch.optim.Optimizer, batch_size: int
) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """`step(images, labels)`, recorded after a few calls and replayed from then on.

    The step must change tensors in place only, and wait for nothing. The graph reads the learning rate, which a
    schedule may change between steps as usual, from a tensor. Batches of another size than `batch_size` run as
    they are. The arithmetic is that of `step`; whether it repeats bit for bit is up to the GPU's libraries.
    """
    group = optimizer.param_groups[0]
    device = group["params"][0].device  # may be another than the current one, of which streams are by default
    graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)
    rate, steps, inputs = torch.empty((), device=device), 0, ()

    def record(images: torch.Tensor, labels: torch.Tensor) -> None:
        nonlocal inputs
        inputs, usual_rate = (images.clone(), labels.clone()), group["lr"]
        group["lr"] = rate
        try:
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                step(*inputs)
        finally:
            group["lr"] = usual_rate

    def run(images: torch.Tensor, labels: torch.Tensor) -> None:
        with torch.cuda.device(device):
            run_there(images, labels)

    def run_there(images: torch.Tensor, labels: torch.Tensor) -> None:
        nonlocal steps
        if len(labels) != batch_size:
            step(images, labels)
            return
        if steps < WARM_UP:
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                step(images, labels)
            torch.cuda.current_stream().wait_stream(side)
        else:
            if steps == WARM_UP:
                record(images, labels)
            for static, given in zip(inputs, (images, labels), strict=True):
                static.copy_(given)
            rate.fill_(group["lr"])
            graph.replay()
        steps += 1

    return run
