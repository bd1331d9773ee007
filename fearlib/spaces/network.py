"""A network of any space: a stem, numbered blocks and a head."""

import contextlib
import re
from collections.abc import Callable, Iterable

import torch
from torch import nn

from fearlib.errors import InputError, check_whole, is_integer, one_line

OF_SHAPES = re.compile(r"\b(shapes?|sizes?|channels?|dimensions?|elements|broadcast)\b", re.IGNORECASE)


def check_kind(architecture: object, kind: type) -> None:
    """Raises InputError unless it is an architecture of the kind."""
    if not isinstance(architecture, kind):
        raise InputError(
            f"{architecture!r:.100} is no {kind.__name__}: {kind.__name__}.from_index or from_string makes one."
        )


@contextlib.contextmanager
def shapes_checked(images: torch.Size):
    """Within, what torch says of a shape is an InputError that names the images'; other errors stay."""
    try:
        yield
    except RuntimeError as error:
        if not OF_SHAPES.search(str(error)):
            raise
        if "view size is not compatible" in str(error):
            raise InputError(
                "the network calls view where values lie in another order, as in channels-last memory: use "
                "flatten or reshape there."
            ) from error
        raise InputError(
            f"the network does not take images of the shape {tuple(images)} ({one_line(error)})."
        ) from error


@contextlib.contextmanager
def in_mode(network: nn.Module, training: bool):
    """Within, all of a network is in training mode, or in evaluation mode; afterwards each part as it was."""
    modes = [(module, module.training) for module in network.modules()]
    network.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextlib.contextmanager
def hooked(modules: Iterable[nn.Module], hook: Callable):
    """Within, `hook` is called after every forward pass of the modules, each of which is hooked once."""
    with contextlib.ExitStack() as handles:
        for module in dict.fromkeys(modules):
            handles.enter_context(module.register_forward_hook(hook))
        yield


def layer_macs(layer: nn.Module, output: torch.Size, images: int) -> int:
    """Multiply-accumulates a convolution or linear layer makes for an image, given its output's shape for so many.

    Each value of the output is a sum over the weights of one output channel.
    """
    return layer.weight[0].numel() * output.numel() // images


class Network(nn.Module):
    """A stem, numbered `blocks` and a head; blocks can be frozen from the input up.

    The stem takes images (batch, in_channels, height, width), the head gives logits (batch, classes). What is
    handed on between them is features, or a tuple of features where a block needs more than the last block's
    output. The images' sides must be multiples of `stride`, where reductions ask for that.
    `default_first_free_block` is where FEAR's second stage starts to train. Raises InputError unless `in_channels`
    and `stride` are positive integers.
    """

    def __init__(
        self,
        stem: nn.Module,
        blocks: list[nn.Module],
        head: nn.Module,
        default_first_free_block: int,
        in_channels: int = 3,
        stride: int = 1,
    ):
        check_whole(1, in_channels=in_channels, stride=stride)
        super().__init__()
        self.default_first_free_block = default_first_free_block
        self.in_channels, self.stride = in_channels, stride
        self.stem = stem
        self.blocks = nn.ModuleList(blocks)
        self.head = head

    def forward(self, images: torch.Tensor, first_free_block: int = 0) -> torch.Tensor:
        """Logits (batch, classes); nothing before `first_free_block` keeps a gradient (0: everything does).

        Raises InputError for images of another shape, or whose sides are not multiples of `stride`.
        """
        self._check_images(images.shape)
        frozen, free = self._split(first_free_block)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            features = images
            for part in frozen:
                features = part(features)
        for part in free:
            features = part(features)
        return features

    def free_parameters(self, first_free_block: int = 0) -> list[nn.Parameter]:
        """The parameters that train when everything before `first_free_block` is frozen, each once."""
        free = (parameter for part in self._split(first_free_block)[1] for parameter in part.parameters())
        return list(dict.fromkeys(free))

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def macs(self, resolution: int) -> int:
        """Multiply-accumulates of one image's forward pass through all `Conv2d` and `Linear` modules.

        Raises InputError for a resolution that the network does not take.
        """
        return sum(self._macs_of_parts(resolution))

    def training_macs(self, resolution: int, first_free_block: int = 0) -> int:
        """Multiply-accumulates of training on one image: forward once, backward twice a forward.

        Frozen parts have no backward pass. Raises InputError as `macs` does.
        """
        of_parts = self._macs_of_parts(resolution)
        frozen, _ = self._split(first_free_block)
        return 3 * sum(of_parts) - 2 * sum(of_parts[: len(frozen)])

    @property
    def _parts(self) -> list[nn.Module]:
        return [self.stem, *self.blocks, self.head]

    def _split(self, first_free_block: int) -> tuple[list[nn.Module], list[nn.Module]]:
        if not is_integer(first_free_block) or not 0 <= first_free_block <= len(self.blocks):
            raise InputError(
                f"first_free_block is {first_free_block!r}: it must be an integer in 0..{len(self.blocks)} "
                f"(0 freezes nothing, {len(self.blocks)} all but the head)."
            )
        cut = first_free_block + 1 if first_free_block > 0 else 0
        return self._parts[:cut], self._parts[cut:]

    def _check_images(self, shape: torch.Size) -> None:
        if len(shape) != 4 or shape[1] != self.in_channels:
            raise InputError(
                f"images have the shape {tuple(shape)}: it must be (batch, {self.in_channels}, height, width)."
            )
        if shape[2] % self.stride or shape[3] % self.stride:
            raise InputError(f"images of {shape[2]}x{shape[3]} pixels: sides must be multiples of {self.stride}.")

    def _macs_of_parts(self, resolution: int) -> list[int]:
        """One forward pass of a black image; on the meta device torch would load its compiler, for seconds."""
        check_whole(1, resolution=resolution)
        weight = next(self.parameters(), torch.zeros(()))
        features = torch.zeros(1, self.in_channels, resolution, resolution).to(weight)
        self._check_images(features.shape)
        counts = []

        def count(layer, _, output):
            counts[-1] += layer_macs(layer, output.shape, images=1)

        layers = [module for module in self.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
        watched = hooked(layers, count)
        with torch.no_grad(), in_mode(self, training=False), shapes_checked(features.shape), watched:
            for part in self._parts:
                counts.append(0)
                features = part(features)
        return counts


class AvgPool3x3(nn.AvgPool2d):
    """Average over 3x3 pixels, padding not counted.

    On a GPU it runs in contiguous memory: there PyTorch 2.11's gradient of padded average pooling is wrong in
    channels-last memory (its issue 188344).
    """

    def __init__(self, stride: int):
        super().__init__(3, stride=stride, padding=1, count_include_pad=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if not features.is_cuda:
            return super().forward(features)
        return super().forward(features.contiguous()).contiguous(memory_format=torch.channels_last)


def relu_conv_bn(channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    """ReLU, convolution without bias that keeps the resolution at stride 1, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )
