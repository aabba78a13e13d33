"""Fisher vectors."""

import pytest
import torch

from rcvd.errors import UserError
from rcvd.recognition.svm import fit_svm
from rcvd.recognition.trajectories.fisher import COST, FisherEncoder, FisherOptions, fit_fisher

OPTIONS = FisherOptions(gaussians=3, keep=0.5)


def clusters(n: int, shift: float = 0.0) -> torch.Tensor:
    centre = torch.tensor([[4.0] * 8, [-4.0] * 8, [0.0] * 8])[torch.randint(3, (n,))]
    return centre + shift + torch.randn(n, 8) * torch.linspace(1, 2, 8)


def test_length_and_norm() -> None:
    torch.manual_seed(0)
    encoder = fit_fisher(clusters(600), OPTIONS)
    assert encoder.length == 2 * 3 * 4
    vector = encoder.encode(clusters(50))
    assert vector.shape == (24,)
    torch.testing.assert_close(vector.norm(), torch.tensor(1.0))
    assert not encoder.encode(torch.zeros(0, 8)).any()


def drawn(encoder: FisherEncoder, n: int) -> torch.Tensor:
    """Samples of the encoder's own mixture, as descriptors."""
    which = torch.multinomial(encoder.weight, n, replacement=True)
    z = encoder.mean[which] + encoder.sigma[which] * torch.randn(n, encoder.mean.shape[1])
    return z @ encoder.axes + encoder.centre


def test_samples_of_the_mixture_itself_pull_nowhere() -> None:
    torch.manual_seed(0)
    x = clusters(6000)
    encoder = fit_fisher(x, OPTIONS)
    other = encoder.gradients(clusters(600, 1.0)).abs().max()
    for sample in (x, drawn(encoder, 20000)):
        own = encoder.gradients(sample).abs().max()
        assert own < 0.05
        assert other > 10 * own


def test_shares_are_the_mixtures_posteriors() -> None:
    torch.manual_seed(0)
    encoder = fit_fisher(clusters(600), OPTIONS)
    z = torch.randn(7, encoder.mean.shape[1], dtype=torch.float64)
    normal = torch.distributions.Normal(encoder.mean, encoder.sigma)
    density = normal.log_prob(z[:, None]).sum(2).exp() * encoder.weight
    torch.testing.assert_close(encoder.shares(z), density / density.sum(1, keepdim=True))


def test_a_linear_machine_tells_sets_apart() -> None:
    torch.manual_seed(0)
    encoder = fit_fisher(torch.cat([clusters(400), clusters(400, 1.0)]), OPTIONS)

    def sets(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        label = torch.arange(n) % 2
        return torch.stack([encoder.encode(clusters(30, float(k))) for k in label]), label

    x, label = sets(24)
    machine = fit_svm(x, label, 2, COST)
    test, truth = sets(24)
    assert (machine.scores(test).argmax(1) == truth).float().mean() > 0.9


def test_too_few_descriptors_are_refused() -> None:
    with pytest.raises(UserError, match="give more clips or at most 2 Gaussians"):
        fit_fisher(torch.randn(29, 8), OPTIONS)
