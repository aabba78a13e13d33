"""Fisher vectors."""

import pytest
import torch

from rcvd.errors import UserError
from rcvd.recognition.svm import fit_svm
from rcvd.recognition.trajectories.fisher import COST, FisherOptions, fit_fisher

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


def test_samples_of_the_mixture_itself_pull_nowhere() -> None:
    torch.manual_seed(0)
    x = clusters(6000)
    encoder = fit_fisher(x, OPTIONS)
    own = encoder.gradients(x).abs().max()
    other = encoder.gradients(clusters(600, 1.0)).abs().max()
    assert own < 0.05
    assert other > 10 * own


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
