"""A network gets a score without training: zero-cost measures (Abdelfattah et al. 2021).

Every measure is a short function of a `Minibatch`, registered under its name in `MEASURES`. Sums run over the
weights W of all convolutions and linear layers; L is the cross entropy of one minibatch, network in training
mode. The passes that measures share are made once, on copies: the network keeps its weights, buffers,
gradients and mode.
"""

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from fearlib.errors import InputError


@dataclass(frozen=True)
class Measure:
    """`passes` is its cost alone, in forward passes of the network (a backward pass counts two).

    They run over the minibatch, or over one image if `one_image`.
    """

    function: Callable[["Minibatch"], float]
    passes: int
    one_image: bool = False


MEASURES: dict[str, Measure] = {}


def measure(passes: int, one_image: bool = False):
    """Register a measure under its function's name."""

    def register(function):
        MEASURES[function.__name__] = Measure(function, passes, one_image)
        return function

    return register


def zero_cost(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, measures: tuple[str, ...] | None = None
) -> dict[str, float]:
    """Zero-cost measures of a classifier at its present weights, by name.

    `images` (batch, channels, height, width), normalised; `labels` int64 (batch,). A measure that is not
    defined for the network (a zero Jacobian has no correlation) is NaN. The network is left as it was.
    Raises InputError for an unknown measure.
    """
    measures = tuple(MEASURES) if measures is None else measures
    for name in measures:
        if name not in MEASURES:
            raise InputError(f"unknown measure {name!r}: the measures are {', '.join(MEASURES)}.")
    was_training = [(module, module.training) for module in network.modules()]
    try:
        network.train()
        batch = Minibatch(network, images, labels)
        with torch.enable_grad():
            return {name: float(torch.as_tensor(MEASURES[name].function(batch)).detach()) for name in measures}
    finally:
        for module, mode in was_training:
            module.training = mode


def zero_cost_macs(name: str, macs_per_image: int, batch_size: int) -> int:
    """Multiply-accumulates that one measure needs alone, for a network of that many per image forward."""
    return MEASURES[name].passes * macs_per_image * (1 if MEASURES[name].one_image else batch_size)


@measure(passes=3)
def grad_norm(batch):
    """Sum over layers of the Euclidean norm of dL/dW."""
    return sum(gradient.norm() for gradient in batch.gradients)


@measure(passes=3)
def snip(batch):
    """Sum of |W * dL/dW| (Lee et al. 2019)."""
    return sum((weight * gradient).abs().sum() for weight, gradient in zip(batch.weights, batch.gradients))


@measure(passes=9)
def grasp(batch):
    """Sum of -W * Hg with g = dL/dW and H the Hessian (Wang et al. 2020)."""
    return -sum(
        (weight * product).sum() for weight, product in zip(batch.weights, batch.hessian_gradient_products)
    )


@measure(passes=3)
def fisher(batch):
    """Sum over channels of half the batch mean of (sum over positions of a * dL/da)^2.

    a is a layer's output before batch norm; a channel counts once for every weight that leads to it
    (Theis et al. 2018, Turner et al. 2020, in the form of Abdelfattah et al.).
    """
    total = torch.zeros(())
    for layer, activation, gradient in zip(batch.layers, batch.activations, batch.activation_gradients):
        per_image = (activation * gradient).flatten(2).sum(2) if activation.dim() > 2 else activation * gradient
        total = total + per_image.pow(2).mean(0).sum() / 2 * layer.weight[0].numel()
    return total


@measure(passes=3, one_image=True)
def synflow(batch):
    """Sum of |W * dR/dW|, R the summed outputs for one image of ones (Tanaka et al. 2020).

    All parameters are replaced by their absolute values and batch norm is removed; double precision.
    """
    return batch.synaptic_flow(keep_batch_norm=False)


@measure(passes=3, one_image=True)
def synflow_bn(batch):
    """`synflow` with batch norm kept."""
    return batch.synaptic_flow(keep_batch_norm=True)


@measure(passes=3)
def jacob_cov(batch):
    """-sum(log(v + k) + 1/(v + k)) over the eigenvalues v of the Jacobian's correlation (Mellor et al. 2020).

    The Jacobian is that of the summed outputs with respect to each image; k = 1e-5. NaN if one is constant.
    """
    jacobian = batch.image_gradients.flatten(1).double()
    correlation = torch.atleast_2d(torch.corrcoef(jacobian))
    if not correlation.isfinite().all():
        return float("nan")
    values = torch.linalg.eigvalsh(correlation) + 1e-5
    return -(values.log() + 1 / values).sum()


@measure(passes=3)
def plain(batch):
    """Sum of W * dL/dW."""
    return sum((weight * gradient).sum() for weight, gradient in zip(batch.weights, batch.gradients))


class Minibatch:
    """One minibatch on one network, and the passes over it that measures share, each made when first asked for."""

    def __init__(self, network: nn.Module, images: torch.Tensor, labels: torch.Tensor):
        self.network, self.images, self.labels = network, images, labels
        self.layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]

    @functools.cached_property
    def weights(self) -> list[torch.Tensor]:
        return [layer.weight.detach() for layer in self.layers]

    @property
    def gradients(self) -> list[torch.Tensor]:
        """dL/dW of every layer."""
        return self._loss_gradients[0]

    @property
    def activations(self) -> list[torch.Tensor]:
        """Output of every layer."""
        return self._loss_gradients[1]

    @property
    def activation_gradients(self) -> list[torch.Tensor]:
        """dL/da of every layer's output a."""
        return self._loss_gradients[2]

    @functools.cached_property
    def hessian_gradient_products(self) -> list[torch.Tensor]:
        """Hg of every layer, H the Hessian of L and g = dL/dW, by differentiating g . constant(g)."""
        state, weights = self._differentiable_state()
        loss = F.cross_entropy(self._forward(state, self.images), self.labels)
        gradients = _gradients(loss, weights, create_graph=True)
        product = sum((gradient * gradient.detach()).sum() for gradient in gradients)
        return _gradients(product, weights)

    @functools.cached_property
    def image_gradients(self) -> torch.Tensor:
        """Gradient of the summed outputs with respect to the images."""
        images = self.images.detach().clone().requires_grad_()
        state, _ = self._differentiable_state()
        return _gradients(self._forward(state, images).sum(), [images])[0]

    def synaptic_flow(self, keep_batch_norm: bool) -> torch.Tensor:
        state, weights = self._differentiable_state(lambda parameter: parameter.double().abs())
        ones = torch.ones_like(self.images[:1], dtype=torch.float64)
        with contextlib.nullcontext() if keep_batch_norm else _without_batch_norm(self.network):
            flow = self._forward(state, ones).sum()
        return sum((weight * gradient).abs().sum() for weight, gradient in zip(weights, _gradients(flow, weights)))

    @functools.cached_property
    def _loss_gradients(self) -> tuple[list[torch.Tensor], ...]:
        state, weights = self._differentiable_state()
        outputs = {}

        def keep(layer, _, output):
            outputs[layer] = output
            return output.clone()  # what follows may work in place

        hooks = [layer.register_forward_hook(keep) for layer in self.layers]
        try:
            loss = F.cross_entropy(self._forward(state, self.images), self.labels)
        finally:
            for hook in hooks:
                hook.remove()
        activations = [outputs[layer] for layer in self.layers]
        gradients = _gradients(loss, weights + activations)
        return gradients[: len(weights)], [a.detach() for a in activations], gradients[len(weights) :]

    @functools.cached_property
    def _weight_names(self) -> list[str]:
        names = {id(module): name for name, module in self.network.named_modules()}
        return [f"{names[id(layer)]}.weight".lstrip(".") for layer in self.layers]

    def _differentiable_state(
        self, convert: Callable[[torch.Tensor], torch.Tensor] = lambda parameter: parameter
    ) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
        """Detached parameters that ask for gradients, with copies of the buffers; and the layers' weights."""
        state = {
            name: convert(parameter.detach()).requires_grad_()
            for name, parameter in self.network.named_parameters()
        }
        for name, buffer in self.network.named_buffers():
            state[name] = convert(buffer.clone()) if buffer.is_floating_point() else buffer.clone()
        return state, [state[name] for name in self._weight_names]

    def _forward(self, state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        return functional_call(self.network, state, (images,))


@contextlib.contextmanager
def _without_batch_norm(network: nn.Module):
    """Every batch norm hands its input on, without looking at it: one value cannot be normalised."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.forward = lambda features: features
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _gradients(output: torch.Tensor, inputs: list[torch.Tensor], create_graph: bool = False) -> list[torch.Tensor]:
    """d output / d input for each input, zeros where the output does not depend on it."""
    if not output.requires_grad:
        return [torch.zeros_like(value) for value in inputs]
    gradients = torch.autograd.grad(output, inputs, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(value) if grad is None else grad for value, grad in zip(inputs, gradients)]
