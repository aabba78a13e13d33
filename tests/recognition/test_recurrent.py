"""CNN + LSTM, recurrent convolutions, Skip RNN, transformers: causality and exact identities."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from rcvd.recognition.networks import conv_rnn, skip_rnn, vit
from rcvd.recognition.networks.recurrent import CnnLstm


class CountingEncoder(nn.Module):
    """Mean colour of an image; counts the images it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(3)
        self.seen = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen += len(image)
        return self.bn(image.mean((2, 3)))


def lstm(bidirectional: bool = False, frozen: bool = False) -> CnnLstm:
    return CnnLstm(CountingEncoder(), 3, 4, 5, bidirectional, frozen)


@pytest.fixture
def clip() -> torch.Tensor:
    return torch.rand(2, 3, 6, 4, 4)


def test_many_to_one_is_the_last_of_many_to_many(clip: torch.Tensor) -> None:
    network = lstm().eval()
    steps, _ = network.steps(network.encode(clip))
    assert torch.equal(network(clip), steps[:, -1])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_future_is_seen_by_a_bidirectional_lstm_only(
    bidirectional: bool, clip: torch.Tensor
) -> None:
    network = lstm(bidirectional).eval()
    other = torch.cat([clip[:, :, :4], torch.rand(2, 3, 2, 4, 4)], 2)
    a, b = (network.steps(network.encode(x))[0][:, :4] for x in (clip, other))
    assert bool((a - b).abs().max() > 1e-6) == bidirectional


def test_state_carries_over_two_halves(clip: torch.Tensor) -> None:
    network = lstm().eval()
    features = network.encode(clip)
    whole, _ = network.steps(features)
    first, state = network.steps(features[:, :3])
    second, _ = network.steps(features[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


def test_frozen_encoder_learns_nothing(clip: torch.Tensor) -> None:
    network = lstm(frozen=True).train()
    encoder = network.encoder
    assert isinstance(encoder, CountingEncoder)
    before = encoder.bn.running_mean
    assert before is not None
    before = before.clone()
    network(clip).sum().backward()
    assert all(p.grad is None for p in encoder.parameters())
    assert torch.equal(before, encoder.bn.running_mean)  # pyright: ignore[reportArgumentType]
    assert all(p.grad is not None for p in network.lstm.parameters())
    assert torch.equal(network.from_features(network.encode(clip)), network(clip))


def test_attention_over_time(clip: torch.Tensor) -> None:
    network = CnnLstm(CountingEncoder(), 3, 4, 5, read="attention").eval()
    x, _ = network.lstm(network.encode(clip))
    assert network.attention is not None
    nn.init.zeros_(network.attention.weight)  # then every frame counts the same
    torch.testing.assert_close(network(clip), network.fc(x.mean(1)))


def test_conv_gru_of_one_pixel_is_the_printed_gru() -> None:
    cell = conv_rnn.ConvGruCell(2, 3, side=1).double()
    x, h = torch.randn(4, 2, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    w_xr, w_xz, w_xh = cell.from_input.weight[:, :, 0, 0].chunk(3)
    assert cell.from_input.bias is not None
    b_r, b_z, b_h = cell.from_input.bias.chunk(3)
    w_hr, w_hz = cell.gates.weight[:, :, 0, 0].chunk(2)
    w_hh = cell.candidate.weight[:, :, 0, 0]
    r = (x @ w_xr.T + h @ w_hr.T + b_r).sigmoid()
    z = (x @ w_xz.T + h @ w_hz.T + b_z).sigmoid()
    new = torch.tanh(x @ w_xh.T + (r * h) @ w_hh.T + b_h)
    out = cell(x[..., None, None], h[..., None, None])[..., 0, 0]
    torch.testing.assert_close(out, z * h + (1 - z) * new)


def test_conv_lstm_of_one_pixel_is_an_lstm_cell() -> None:
    cell = conv_rnn.ConvLstmCell(2, 3, side=1).double()
    oracle = nn.LSTMCell(2, 3).double()
    i, f, o, g = cell.gates.weight[:, :, 0, 0].chunk(4)
    assert cell.gates.bias is not None
    bi, bf, bo, bg = cell.gates.bias.chunk(4)
    oracle.weight_ih.data = torch.cat([i, f, g, o])[:, :2]
    oracle.weight_hh.data = torch.cat([i, f, g, o])[:, 2:]
    oracle.bias_ih.data = torch.cat([bi, bf, bg, bo])
    oracle.bias_hh.data.zero_()
    x, h, c = (torch.randn(4, n, dtype=torch.float64) for n in (2, 3, 3))
    out = cell(x[..., None, None], torch.cat([h, c], 1)[..., None, None])[..., 0, 0]
    torch.testing.assert_close(out, torch.cat(oracle(x, (h, c)), 1))


def test_closed_gate_copies_the_state_to_the_bit() -> None:
    cell = conv_rnn.ConvGruCell(2, 3)
    assert cell.from_input.bias is not None
    cell.from_input.bias.data[3:6] = 1e4  # z = 1
    state = torch.randn(1, 3, 5, 5)
    assert torch.equal(cell(torch.randn(1, 2, 5, 5), state), state)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_convolutions_remember_everything_and_foresee_nothing(
    cell: conv_rnn.Cell,
) -> None:
    network = conv_rnn.ConvRnn(2, (4, 4), cell, pool=2)
    clip = torch.rand(1, 3, 32, 4, 4, requires_grad=True)
    states = network.states(clip)
    (gradient,) = torch.autograd.grad(states[-1].sum(), clip, retain_graph=True)
    assert gradient[:, :, 0].abs().max() > 0
    (gradient,) = torch.autograd.grad(states[9].sum(), clip)
    assert not gradient[:, :, 10:].any()
    assert gradient[:, :, 9].abs().max() > 0


def test_conv_gru_moves_with_its_input() -> None:
    cell = conv_rnn.ConvGruCell(1, 2)
    frames = torch.zeros(3, 1, 1, 12, 12)
    frames[..., 4:7, 4:7] = torch.rand(3, 1, 1, 3, 3)
    a = b = torch.zeros(1, 2, 12, 12)
    for frame in frames:
        a, b = cell(frame, a), cell(frame.roll(2, -1), b)
    torch.testing.assert_close(a[..., 3:7, 3:7], b[..., 3:7, 5:9])


@pytest.mark.parametrize(("step", "period"), [(0.1, 6), (0.2, 3), (0.3, 2), (0.5, 2), (0.51, 1)])
def test_a_constant_step_uses_every_so_many_frames(step: float, period: int) -> None:
    probability, used_at = torch.ones(1), []
    for frame in range(25):
        used = skip_rnn.binarise(probability)
        if used > 0:
            used_at.append(frame)
        probability = skip_rnn.next_probability(used, probability, torch.tensor([step]))
    gaps = [b - a for a, b in pairwise(used_at)]
    assert used_at[0] == 0
    assert set(gaps) == {period}


def skipping(bias: float) -> skip_rnn.SkipRnn:
    network = skip_rnn.SkipRnn(CountingEncoder(), 3, 4, 2)
    nn.init.zeros_(network.step.weight)
    nn.init.constant_(network.step.bias, bias)
    return network


def test_skipped_frames_copy_the_state_and_are_not_encoded() -> None:
    network = skipping(-1.0).eval()  # a step of 0.27
    clip = torch.rand(2, 3, 9, 4, 4)
    states, used = network.run(clip)
    encoder = network.encoder
    assert isinstance(encoder, CountingEncoder)
    assert encoder.seen == used.sum()
    assert 0 < used.sum() < used.numel()
    assert used[:, 0].all()
    for t in range(1, 9):
        if not used[0, t]:
            assert torch.equal(states[:, t], states[:, t - 1])


def test_budget_presses_on_the_gate_only_where_it_has_a_price() -> None:
    clip = torch.rand(2, 3, 9, 4, 4)
    for price in (0.0, 1.0):
        network = skipping(-1.0)
        _, used = network.run(clip)
        skip_rnn.budget_loss(used, price).backward()
        assert network.step.bias.grad is not None
        assert bool(network.step.bias.grad.abs().max() > 0) == (price > 0)


def test_budget_makes_a_network_look_less() -> None:
    """On a still clip every frame after the first says the same."""
    torch.manual_seed(0)
    clip = torch.rand(4, 3, 1, 4, 4).expand(-1, -1, 8, -1, -1)
    used_by_price = []
    for price in (0.0, 0.1):
        network = skipping(1.0)
        optimiser = torch.optim.Adam(network.parameters(), 0.05)
        for _ in range(40):
            _, used = network.run(clip)
            skip_rnn.budget_loss(used, price).backward()
            optimiser.step()
            optimiser.zero_grad()
        used_by_price.append(float(network.run(clip)[1].mean().detach()))
    assert used_by_price[1] < used_by_price[0] == 1.0


def test_self_attention_is_softmax_of_products() -> None:
    layer = nn.MultiheadAttention(6, 1, bias=False, batch_first=True)
    x = torch.randn(1, 5, 6)
    q, k, v = (x @ w.T for w in layer.in_proj_weight.chunk(3))
    expected = (q @ k.transpose(1, 2) / 6**0.5).softmax(2) @ v @ layer.out_proj.weight.T
    torch.testing.assert_close(layer(x, x, x, need_weights=False)[0], expected)


def test_positions_break_the_symmetry_of_attention() -> None:
    encoder = vit.Encoder(5, 8, 2, 2).eval()
    x, order = torch.randn(1, 5, 8), torch.tensor([3, 1, 4, 0, 2])
    assert (encoder(x[:, order]) - encoder(x)[:, order]).abs().max() > 1e-4
    nn.init.zeros_(encoder.pos_embedding)
    torch.testing.assert_close(encoder(x[:, order]), encoder(x)[:, order])


def test_vit_of_a_clip_is_the_mean_of_its_frames() -> None:
    network = vit.Vit(3, size=8, patch=4, width=8, depth=1, heads=2).eval()
    clip = torch.rand(2, 3, 4, 8, 8)
    frames = torch.stack([network.image_logits(frame) for frame in clip.unbind(2)])
    torch.testing.assert_close(network(clip), frames.mean(0))
