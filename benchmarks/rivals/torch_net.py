"""PyTorch, eager: nn.Sequential, autograd and its fused optimizers.

A search trains all its networks at once: their weights stacked, batched products.
"""

import importlib
from collections.abc import Callable
from typing import Any

from benchmarks.jobs import Array, Job, Patience, Trained, Weights
from benchmarks.machine import cores

# Not among the project's dependencies: a type checker may not find it.
torch: Any = importlib.import_module("torch")
torch.set_num_threads(cores())


def train(job: Job) -> Callable[[], Trained]:
    """Minibatch training."""
    X, y, cross_entropy = torch.from_numpy(job.X), _labels(job), _loss(job)
    watched, whole = job.patience is not None, job.batch is None

    def work() -> Trained:
        weights, rng = job.begin()
        network = _network(job, weights)
        optimizer = _optimizer(job, network)
        patience = Patience(job.patience)
        for order in job.orders(rng):
            total = 0.0
            for rows in torch.from_numpy(order).split(job.batch_rows):
                batch, labels = (X, y) if whole else (X[rows], y[rows])
                loss = cross_entropy(network(batch), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(rows)
            # Reading the loss costs something: only where it is asked for.
            if watched and patience.exhausted(float(total) / len(order)):
                break
        return Trained(_weights(network), patience.epochs if watched else job.epochs)

    return work


def gradient(job: Job) -> Callable[[], tuple[float, Weights]]:
    """Cost and gradient on all rows."""
    X, y = torch.from_numpy(job.X), _labels(job)
    network, cross_entropy = _network(job, job.begin()[0]), _loss(job)

    def work() -> tuple[float, Weights]:
        network.zero_grad()
        cost = cross_entropy(network(X), y)
        if job.l2:
            squares = sum(layer.weight.square().sum() for layer in _layers(network))
            cost = cost + 0.5 * job.l2 / len(X) * squares
        cost.backward()
        slopes = [
            (layer.weight.grad.T.numpy(), layer.bias.grad.numpy())
            for layer in _layers(network)
        ]
        return float(cost), slopes

    return work


def predict(job: Job) -> Callable[[], Array]:
    """Probabilities of all rows at once."""
    X, network = torch.from_numpy(job.X), _network(job, job.begin()[0])

    def work() -> Array:
        with torch.inference_mode():
            return torch.softmax(network(X), dim=1).numpy()

    return work


def search(job: Job) -> Callable[[], list[Trained]]:
    """All trials as one batched network."""
    X, y = torch.from_numpy(job.X), _labels(job)
    rates = torch.tensor(job.rates, dtype=X.dtype)[:, None, None]

    def work() -> list[Trained]:
        parameters = _stacked(job)
        rule = _BatchedAdam(parameters, rates)
        for order in job.orders(job.begin()[1]):
            for rows in torch.from_numpy(order).split(job.batch_rows):
                scores = _batched(job, parameters, X[rows])
                labels = y[rows].expand(len(scores), -1).flatten()
                losses = torch.nn.functional.cross_entropy(
                    scores.flatten(0, 1), labels, reduction="sum"
                )
                (losses / len(rows)).backward()
                rule.step()
        return _unstacked(job, parameters)

    return work


def _network(job: Job, weights: Weights) -> Any:
    bend = torch.nn.Tanh if job.activation == "tanh" else torch.nn.ReLU
    layers = []
    for W, b in weights:
        layer = torch.nn.utils.skip_init(
            torch.nn.Linear, *W.shape, dtype=torch.from_numpy(W).dtype
        )
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(W.T))
            layer.bias.copy_(torch.from_numpy(b))
        layers += [layer, bend()]
    return torch.nn.Sequential(*layers[:-1])


def _layers(network: Any) -> list[Any]:
    return list(network)[::2]


def _weights(network: Any) -> Weights:
    return [
        (layer.weight.detach().T.numpy(), layer.bias.detach().numpy())
        for layer in _layers(network)
    ]


def _optimizer(job: Job, network: Any) -> Any:
    layers = _layers(network)
    groups = [
        {
            "params": [layer.weight for layer in layers],
            "weight_decay": job.l2 / job.batch_rows,
        },
        {"params": [layer.bias for layer in layers]},
    ]
    if job.rule == "adam":
        return torch.optim.Adam(groups, lr=job.rate, fused=True)
    momentum = 0.9 if job.rule == "nesterov" else 0.0
    return torch.optim.SGD(
        groups, lr=job.rate, momentum=momentum, nesterov=momentum > 0, fused=True
    )


def _labels(job: Job) -> Any:
    labels = torch.from_numpy(job.y)
    return labels[:, None].to(_dtype(job)) if job.n_outputs == 1 else labels.long()


def _loss(job: Job) -> Any:
    functional = torch.nn.functional
    if job.n_outputs == 1:
        return functional.binary_cross_entropy_with_logits
    return functional.cross_entropy


def _dtype(job: Job) -> Any:
    return torch.from_numpy(job.X[:1]).dtype


def _stacked(job: Job) -> list[Any]:
    """Weights (n_trials, fan_in, fan_out) and biases (n_trials, 1, fan_out) in turn."""
    networks = [job.begin(trial)[0] for trial in range(len(job.rates))]
    parameters = []
    for layer in zip(*networks, strict=True):
        W = torch.stack([torch.from_numpy(W) for W, _ in layer])
        b = torch.stack([torch.from_numpy(b)[None] for _, b in layer])
        parameters += [W.requires_grad_(), b.requires_grad_()]
    return parameters


def _unstacked(job: Job, parameters: list[Any]) -> list[Trained]:
    arrays = [p.detach().numpy() for p in parameters]
    return [
        Trained(
            [(W[i], b[i, 0]) for W, b in zip(arrays[::2], arrays[1::2], strict=True)],
            job.epochs,
        )
        for i in range(len(job.rates))
    ]


def _batched(job: Job, parameters: list[Any], X: Any) -> Any:
    bend = torch.tanh if job.activation == "tanh" else torch.relu
    # Folded into one product: the first layer's input is the same for all networks.
    W, b = parameters[:2]
    n_trials, fan_in, fan_out = W.shape
    folded = X @ W.transpose(0, 1).reshape(fan_in, n_trials * fan_out)
    hidden = folded.reshape(len(X), n_trials, fan_out).transpose(0, 1) + b
    for W, b in zip(parameters[2::2], parameters[3::2], strict=True):
        hidden = torch.baddbmm(b, bend(hidden), W)
    return hidden


class _BatchedAdam:
    """Adam with a rate for each network of the stack, in place."""

    def __init__(self, parameters: list[Any], rates: Any) -> None:
        self.parameters, self.rates, self.t = parameters, rates, 0
        self.means = [torch.zeros_like(p) for p in parameters]
        self.squares = [torch.zeros_like(p) for p in parameters]

    def step(self) -> None:
        self.t += 1
        correction = (1 - 0.999**self.t) ** 0.5
        rates = self.rates * (correction / (1 - 0.9**self.t))
        with torch.no_grad():
            for p, m, v in zip(self.parameters, self.means, self.squares, strict=True):
                m.lerp_(p.grad, 0.1)
                v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                p.sub_(m.div(v.sqrt().add_(1e-8)).mul_(rates))
                p.grad = None
