"""Forms of `snip` and `grad_norm` that papers and code leave open, as measures of their own (ours).

For `FEARLIB_PLUGIN=measure_variants`, with this folder on Python's path, and minibatches of more than 64 images.
The loss summed over images in place of its mean is not among them: it multiplies all scores by one number.
"""

from torch.nn.functional import cross_entropy

from fearlib.scores.measures import grad_norm, measure, snip
from fearlib.scores.minibatch import Minibatch, gradients_of
from fearlib.spaces.network import in_mode
from fearlib.spaces.state import copied_state

FIRST = 64  # images


def first(batch):
    return Minibatch(batch.network, batch.images[:FIRST], batch.labels[:FIRST], batch.seed)


def evaluated(batch):
    """Every layer's W and dL/dW in evaluation mode: batch norm with its running statistics."""
    with in_mode(batch.network, training=False):
        state = copied_state(batch.network)
        weights = batch.weights_in(state)
        loss = cross_entropy(batch.run(state, batch.images), batch.labels)
    return [(weight.detach(), gradient) for weight, gradient in zip(weights, gradients_of(loss, weights))]


@measure(passes=3, at_most=FIRST)
def snip_64(batch):
    """`snip` of the first 64 images."""
    return snip(first(batch))


@measure(passes=3, at_most=FIRST)
def grad_norm_64(batch):
    """`grad_norm` of the first 64 images."""
    return grad_norm(first(batch))


@measure(passes=3)
def snip_evaluation(batch):
    """`snip` in evaluation mode."""
    return sum((weight * gradient).abs().sum() for weight, gradient in evaluated(batch))


@measure(passes=3)
def grad_norm_evaluation(batch):
    """`grad_norm` in evaluation mode."""
    return sum(gradient.norm() for _, gradient in evaluated(batch))


@measure(passes=3)
def snip_mean(batch):
    """Sum over layers of the mean of |W * dL/dW| in place of its sum."""
    return sum((weight * gradient).abs().mean() for weight, gradient in zip(batch.weights, batch.gradients))


@measure(passes=3)
def grad_norm_mean(batch):
    """Sum over layers of the root mean square of dL/dW in place of its norm."""
    return sum(gradient.square().mean().sqrt() for gradient in batch.gradients)


@measure(passes=3)
def grad_norm_whole(batch):
    """The norm of dL/dW over all layers at once in place of the sum of the layers' norms."""
    return sum(gradient.square().sum() for gradient in batch.gradients).sqrt()


@measure(passes=3)
def plain_absolute(batch):
    """|sum of W * dL/dW|: `plain`, which is `snip` without absolute values, with one at the end."""
    return sum((weight * gradient).sum() for weight, gradient in zip(batch.weights, batch.gradients)).abs()
