"""One minibatch on one network, and the passes over it that zero-cost measures share."""

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.graph import disable_saved_tensors_hooks
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from fearlib.errors import InputError, Undefined, check_seed, one_line
from fearlib.randomness import seeded
from fearlib.scores.forward_passes import without_batch_norm
from fearlib.scores.second_order import ONE_VALUE, cheap_second_derivatives
from fearlib.spaces.network import hooked, shapes_checked
from fearlib.spaces.state import copied_state
from fearlib.training.classifier import check_logits, has_one_value

NO_LAYER = "it has no convolution or linear layer"
CHECKPOINTS = "computes activations again in the backward pass (torch.utils.checkpoint)"


class Timed(NamedTuple):
    """What a computation gave, the seconds that it took less those of passes, and the passes that it asked for."""

    value: Any
    seconds: float
    asked: frozenset["shared_pass"]


class Forward(NamedTuple):
    """A forward pass of the images, with its graph: `layers` are (module, output), `relus` outputs."""

    images: torch.Tensor
    state: dict[str, torch.Tensor]
    logits: torch.Tensor
    layers: list[tuple[nn.Module, torch.Tensor]]
    relus: list[torch.Tensor]


class Backward(NamedTuple):
    """dL/dW of every layer, and dL/da of every output a in `activations`."""

    weights: list[torch.Tensor]
    activations: list[torch.Tensor]


class shared_pass:
    """A function or property of a Minibatch, computed when first asked for and timed; who asks is charged."""

    def __init__(self, compute: Callable):
        self.compute, self.__doc__ = compute, compute.__doc__

    def __call__(self, batch: "Minibatch") -> Any:
        if self not in batch.passes:
            batch.passes[self] = batch.timed(self.compute)
        batch.asked |= {self} | batch.passes[self].asked
        return batch.passes[self].value

    def __get__(self, batch, owner=None):
        return self if batch is None else self(batch)


class Minibatch:
    """`images` and `labels` on `network`, whose parameters, buffers and gradients no pass touches.

    Passes run on detached parameters and copies of the buffers, in channels-last memory, which is up to twice as
    fast on a CPU as contiguous memory. They raise Undefined where what they would hand out is not finite, or where
    batch norm has one value to normalise, and InputError for a network that does not take the images or gives no
    logits for the labels.
    """

    def __init__(self, network: nn.Module, images: torch.Tensor, labels: torch.Tensor, seed: int = 0):
        self.network, self.images, self.labels, self.seed = network, images, labels, check_seed(seed)
        self.layers = self.modules(nn.Conv2d, nn.Linear)
        self.passes: dict[shared_pass, Timed] = {}  # those made so far
        self.asked: set[shared_pass] = set()  # for which passes, by what is being timed
        self.largest_label = int(labels.max())

    def clock(self) -> float:
        """Seconds, once the device has done all that it was asked to do."""
        if self.images.is_cuda:
            torch.cuda.synchronize(self.images.device)
        return time.perf_counter()

    def pass_seconds(self, passes: Iterable[shared_pass] | None = None) -> float:
        """Seconds that passes took; all that were made unless given."""
        return sum(self.passes[each].seconds for each in (self.passes if passes is None else passes))

    def timed(self, compute: Callable[["Minibatch"], Any]) -> Timed:
        """What `compute` makes of this minibatch; the passes that it asks for are timed on their own."""
        outer, self.asked = self.asked, set()
        started, before = self.clock(), self.pass_seconds()
        try:
            value = compute(self)
            seconds = self.clock() - started - (self.pass_seconds() - before)
            return Timed(value, seconds, frozenset(self.asked))
        finally:
            self.asked |= outer

    @property
    def weights(self) -> list[torch.Tensor]:
        """The weights of every convolution and linear layer."""
        if not self.layers:
            raise Undefined(NO_LAYER)
        return [layer.weight.detach() for layer in self.layers]

    @property
    def logits(self) -> torch.Tensor:
        self._refuse_other_than_finite([self.forward.logits])
        return self.forward.logits

    @property
    def activations(self) -> list[tuple[nn.Module, torch.Tensor]]:
        """Every layer that the images went through, with its output."""
        return [(layer, output.detach()) for layer, output in self.forward.layers]

    @property
    def rectified(self) -> list[torch.Tensor]:
        """Output of every ReLU."""
        outputs = [output.detach() for output in self.forward.relus]
        self._refuse_other_than_finite(outputs)
        return outputs

    @property
    def gradients(self) -> list[torch.Tensor]:
        """dL/dW of every layer."""
        self._refuse_other_than_finite(self.backward.weights)
        return self.backward.weights

    @property
    def activation_gradients(self) -> list[torch.Tensor]:
        """dL/da of every output a in `activations`."""
        return self.backward.activations

    @shared_pass
    def forward(self) -> Forward:
        """Logits of the images, and the outputs of layers and ReLUs on the way."""
        state = copied_state(self.network)
        images = self.images.detach().requires_grad_()
        logits, outputs, intact = self._watch(state, images, copy=False)
        if not intact:  # something works in place
            logits, outputs, _ = self._watch(state, images, copy=True)
        relus = [output for module, output in outputs if isinstance(module, nn.ReLU)]
        layers = [(module, output) for module, output in outputs if not isinstance(module, nn.ReLU)]
        return Forward(images, state, logits, layers, relus)

    @shared_pass
    def output_shapes(self) -> tuple[int, list[tuple[nn.Module, torch.Size]]]:
        """Of how many images; and every layer that they go through, with the shape of its output.

        No value plays a part.
        """
        try:
            images, outputs = len(self.images), self.forward.layers
        except Undefined:  # batch norm has one value to normalise
            images = 1
            outputs, state = [], copied_state(self.network)
            keep = hooked(self.layers, lambda layer, _, output: outputs.append((layer, output)))
            with without_batch_norm(self.network), keep:
                self.run(state, self.images[:1])
        return images, [(layer, output.shape) for layer, output in outputs]

    @shared_pass
    def backward(self) -> Backward:
        """Gradients of the cross entropy."""
        weights, outputs = self.weights_in(self.forward.state), [output for _, output in self.forward.layers]
        loss = F.cross_entropy(self.logits, self.labels)
        gradients = gradients_of(loss, weights + outputs, retain_graph=True)
        return Backward(gradients[: len(weights)], gradients[len(weights) :])

    @shared_pass
    def image_gradients(self) -> torch.Tensor:
        """Gradient of the summed logits with respect to the images."""
        gradients = gradients_of(self.logits.sum(), [self.forward.images], retain_graph=True)
        self._refuse_other_than_finite(gradients)
        return gradients[0]

    @shared_pass
    def hessian_gradient_products(self) -> list[torch.Tensor]:
        """Hg of every layer, H the Hessian of L and g = dL/dW, by differentiating g . constant(g).

        Raises Undefined if an operation of the network has no second derivative.
        """
        state = copied_state(self.network)
        weights = self.weights_in(state)
        with cheap_second_derivatives(self.network), sdpa_kernel(SDPBackend.MATH):  # others have no second one
            loss = self._loss(state, self.images, self.labels)
        gradients = gradients_of(loss, weights, create_graph=True)
        product = sum((gradient * gradient.detach()).sum() for gradient in gradients)
        try:
            products = gradients_of(product, weights)
        except RuntimeError as error:
            if "is not implemented" not in str(error):
                raise
            raise Undefined(f"it has no second derivative ({one_line(error)})") from error
        self._refuse_other_than_finite(products)
        return products

    @shared_pass
    def half_gradients(self) -> list[list[torch.Tensor]]:
        """dL/dW of every layer on each half of the minibatch alone."""
        state, gradients = copied_state(self.network), []
        weights = self.weights_in(state)
        for images, labels in zip(self.images.chunk(2), self.labels.chunk(2)):
            with cheap_second_derivatives(self.network):
                loss = self._loss(state, images, labels)
            gradients.append(gradients_of(loss, weights))
            self._refuse_other_than_finite(gradients[-1])
        return gradients

    def generator(self) -> torch.Generator:
        """A new one, on the images' device, from the minibatch's seed."""
        return torch.Generator(self.images.device).manual_seed(self.seed)

    def redrawn_state(self, draw: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, torch.Tensor]:
        """Parameters and buffers: the layers' weights as `draw` makes them, biases 0, batch norm's weights 1.

        A weight that layers share is drawn once. Raises Undefined as `weights_in` does.
        """
        state, drawn = copied_state(self.network), {}
        self.weights_in(state)
        own = dict(state)
        for modules, new in ((self.layers, draw), (self.modules(_BatchNorm), torch.ones_like)):
            for name in map(self._name_of, modules):
                if (weight := own.get(f"{name}weight")) is not None:
                    if id(weight) not in drawn:
                        drawn[id(weight)] = new(weight)
                    state[f"{name}weight"] = drawn[id(weight)]
                if f"{name}bias" in state:
                    state[f"{name}bias"] = torch.zeros_like(state[f"{name}bias"])
        return state

    def modules(self, *kinds: type) -> list[nn.Module]:
        return [module for module in self.network.modules() if isinstance(module, kinds)]

    def _watch(self, state: dict, images: torch.Tensor, copy: bool) -> tuple[torch.Tensor, list, bool]:
        """Logits, (module, output) of layers and ReLUs, and whether no output was changed in place afterwards."""
        outputs, versions = [], []

        def keep(module, _, output):
            outputs.append((module, output))
            versions.append(output._version)
            return output.clone() if copy else None

        watched = self.layers + self.modules(nn.ReLU)
        with cheap_second_derivatives(self.network), hooked(watched, keep):
            logits = self.run(state, images)
        return logits, outputs, all(output._version == version for (_, output), version in zip(outputs, versions))

    def weights_in(self, state: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """The weights of every layer in a `copied_state`. Raises Undefined if one is no parameter."""
        names = [f"{self._name_of(layer)}weight" for layer in self.layers]
        for name in names:
            if name not in state:
                raise Undefined(f"{name} is computed from other parameters")
        return [state[name] for name in names]

    @functools.cached_property
    def _names(self) -> dict[nn.Module, str]:
        """Of each module the first, as `named_modules` has it."""
        return {module: name for name, module in self.network.named_modules()}

    def _name_of(self, module: nn.Module) -> str:
        """As its parameters' names begin: `blocks.3.`, or nothing for the network itself."""
        return f"{self._names[module]}.".lstrip(".")

    def run(self, state: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        """Logits, with the same random numbers in every pass; parameters are replaced module by module.

        The network is given a copy of the images, in channels-last memory, which it may change.
        """
        copy = images.clone(memory_format=torch.channels_last)
        with seeded(self.seed, images.device):
            try:
                with shapes_checked(images.shape), disable_saved_tensors_hooks(CHECKPOINTS):
                    output = functional_call(self.network, state, (copy,), tie_weights=False)
            except RuntimeError as error:
                if CHECKPOINTS not in str(error):
                    raise
                raise InputError(
                    f"the network {CHECKPOINTS}, which measures cannot follow: switch that off."
                ) from None
            except ValueError as error:
                if has_one_value(error):
                    raise Undefined(ONE_VALUE) from error
                raise
        return check_logits(output, len(images), self.largest_label)

    def _loss(self, state: dict[str, torch.Tensor], images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = self.run(state, images)
        self._refuse_other_than_finite([logits])
        return F.cross_entropy(logits, labels)

    def _refuse_other_than_finite(self, tensors: list[torch.Tensor]) -> None:
        """Raises Undefined, with the reason, if an image or one of the tensors holds a NaN or an infinity."""
        self.refuse_infinite_images()
        self.refuse_infinite(tensors)

    def refuse_infinite_images(self, first: int | None = None) -> None:
        """Raises Undefined, with the reason, if one of the first images, or of all, holds a NaN or an infinity."""
        finite = self._finite_images[:first]
        if not finite.all():
            raise Undefined(f"NaN or an infinity is in {int((~finite).sum())} of its {len(finite)} images")

    def refuse_infinite(self, tensors: list[torch.Tensor]) -> None:
        """Raises Undefined, with the reason, if one of the tensors holds a NaN or an infinity."""
        sums = [tensor.detach().sum() for tensor in tensors]  # one pass, and a sum may overflow
        if not sums or torch.stack(sums).isfinite().all():
            return
        if not all(tensor.isfinite().all() for tensor in tensors):
            raise Undefined(self.why_not_finite())

    @functools.cached_property
    def _finite_images(self) -> torch.Tensor:
        return self.images.flatten(1).isfinite().all(1)

    def why_not_finite(self) -> str:
        """What may have made a number NaN or infinite: a parameter of the network, or the way to it."""
        for name, parameter in self.network.named_parameters():
            if not parameter.isfinite().all():
                return f"the network's {name} holds NaN or an infinity"
        return "a number on the way to it is NaN or infinite"


def noise(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Standard normal, the same in single precision as in double."""
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=torch.float64).to(like)


def refuse_other_rows(output: torch.Tensor, images: int) -> None:
    """Raises Undefined unless a module's output has one row for each of so many images."""
    if len(output) != images:
        raise Undefined("a module's output has other rows than one an image")


def gradients_of(output: torch.Tensor, inputs: list[torch.Tensor], **options) -> list[torch.Tensor]:
    """d output / d input for each input, zeros where the output does not depend on it.

    Raises Undefined if there are no inputs.
    """
    if not inputs:
        raise Undefined(NO_LAYER)
    if not output.requires_grad:
        return [torch.zeros_like(value) for value in inputs]
    gradients = torch.autograd.grad(output, inputs, allow_unused=True, **options)
    return [torch.zeros_like(value) if grad is None else grad for value, grad in zip(inputs, gradients)]
