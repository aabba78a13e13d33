"""3-D convolutions, factored filters, inflation, norms, non-local blocks."""

import pytest
import torch
from torch import nn

from rcvd.recognition import registry
from rcvd.recognition.networks import inflate, ji3d, nonlocal_block, video_resnet, vit
from rcvd.recognition.networks.inception import InceptionI3d, pad_same
from rcvd.recognition.networks.norms import Norm, norm_layer, renorm
from rcvd.recognition.networks.resnet3d import Pathway, ResNet3d
from rcvd.recognition.shapes import parameters


def test_conv3d_is_the_quadruple_sum() -> None:
    conv = nn.Conv3d(1, 2, (3, 2, 2)).double()
    x = torch.rand(1, 1, 5, 5, 4, dtype=torch.float64)
    out = conv(x)
    expected = conv.bias.reshape(2, 1, 1, 1).expand(2, 3, 4, 3).clone()  # pyright: ignore[reportOptionalMemberAccess]
    for j in range(2):
        for z, y, u in torch.cartesian_prod(*(torch.arange(n) for n in (3, 4, 3))).tolist():
            for r in range(3):
                for p in range(2):
                    for q in range(2):
                        w = conv.weight[j, 0, r, p, q]
                        expected[j, z, y, u] = (
                            expected[j, z, y, u] + w * x[0, 0, z + r, y + p, u + q]
                        )
    torch.testing.assert_close(out[0], expected)
    flat = nn.Conv3d(1, 2, (1, 2, 2)).double()
    image = nn.functional.conv2d(x[:, :, 0], flat.weight[:, :, 0], flat.bias)
    torch.testing.assert_close(flat(x)[:, :, 0], image)


def test_ji_network_of_the_papers_size() -> None:
    network = ji3d.Ji3d(3)
    rgb, flow = torch.rand(2, 3, 7, 60, 40), torch.rand(2, 2, 6, 60, 40)
    assert network(rgb, flow).shape == (2, 3)
    per_channel = parameters(network.channels[0])
    # c2 2 x (147 + 1), c4 6 x (126 + 1), and a gain and an offset a set of maps
    assert per_channel == 2 * 148 + 4 + 6 * 127 + 12
    assert network.c6.weight.shape == (128, 78, 7, 4)


def test_hardwired_channels_of_a_ramp() -> None:
    x = torch.arange(8.0).expand(1, 3, 7, 6, 8) / 10
    flow = torch.rand(1, 2, 6, 6, 8)
    grey, dx, dy, u, v = ji3d.hardwired(x, flow)
    torch.testing.assert_close(grey, x[:, :1], atol=1e-6, rtol=0)
    torch.testing.assert_close(dx[..., 1:-1], torch.full((1, 1, 7, 6, 6), 0.1))
    assert dy.abs().max() < 1e-6
    assert torch.equal(torch.cat([u, v], 1), flow)


@pytest.mark.parametrize(
    ("c_in", "c_out", "middle"),
    [(64, 64, 144), (64, 128, 230), (128, 128, 288), (256, 512, 921)],
)
def test_factored_filters_cost_what_full_ones_do(c_in: int, c_out: int, middle: int) -> None:
    assert video_resnet.middle_channels(c_in, c_out) == middle
    block = video_resnet.factored(c_in, c_out, middle)
    weights = sum(c.weight.numel() for c in block if isinstance(c, nn.Conv3d))
    full = 27 * c_in * c_out
    assert full * 0.998 <= weights <= full


def test_separable_filter_is_exact_when_factored() -> None:
    space, time = torch.rand(3, 3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    x = torch.rand(1, 1, 6, 7, 7, dtype=torch.float64)
    kernel = (time[:, None, None] * space).reshape(1, 1, 3, 3, 3)
    whole = nn.functional.conv3d(x, kernel, padding=1)
    parts = nn.functional.conv3d(x, space.reshape(1, 1, 1, 3, 3), padding=(0, 1, 1))
    parts = nn.functional.conv3d(parts, time.reshape(1, 1, 3, 1, 1), padding=(1, 0, 0))
    torch.testing.assert_close(parts, whole)


def still(image: torch.Tensor, frames: int) -> torch.Tensor:
    return image[:, :, None].expand(-1, -1, frames, -1, -1)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_inflated_filter_on_a_still_video(n: int) -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1)
    image = torch.rand(1, 3, 6, 6)
    expected = still(conv(image), 7)
    new = inflate.inflate_conv(conv, n)
    torch.testing.assert_close(new(still(image, 7)), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(new.weight.sum(2), conv.weight)
    zeros = inflate.inflate_conv(conv, n, time_padding="zeros")(still(image, 7))
    inner = slice(n // 2, 7 - n // 2)
    torch.testing.assert_close(zeros[:, :, inner], expected[:, :, inner], atol=1e-5, rtol=0)
    border = (zeros[:, :, 0] - expected[:, :, 0]).abs().max()
    assert (border > 0.05) == (n > 1)


class Small2d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 5, 2, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.body = nn.Conv2d(8, 8, 3, padding=1)
        self.average = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.average(self.body(x))
        return self.fc(self.pool(x).flatten(1))


def test_inflated_network_on_a_still_video_is_the_image_network() -> None:
    network = Small2d().eval()
    bn = network.stem[1]
    assert isinstance(bn, nn.BatchNorm2d)
    nn.init.uniform_(bn.running_var, 0.5, 2.0)  # pyright: ignore[reportArgumentType]
    image = torch.rand(2, 3, 20, 24)
    inflated = inflate.inflate(network)
    torch.testing.assert_close(inflated(still(image, 5)), network(image), atol=1e-5, rtol=0)
    zeros = inflate.inflate(network, time_padding="zeros")
    assert (zeros(still(image, 5)) - network(image)).abs().max() > 1e-3
    assert isinstance(network.body, nn.Conv2d)  # the original is left alone


@pytest.mark.models
def test_inflated_resnet18_on_a_still_video() -> None:
    from torchvision.models import resnet18  # pyright: ignore[reportMissingImports]

    network = resnet18(weights=None).eval()
    image = torch.rand(1, 3, 64, 64)
    inflated = inflate.inflate(network)
    torch.testing.assert_close(inflated(still(image, 3)), network(image), atol=1e-4, rtol=0)


def test_other_input_channels_keep_the_response() -> None:
    conv = nn.Conv2d(3, 4, 3)
    grey = torch.rand(1, 1, 6, 6)
    many = inflate.inflate_channels(conv, 20)
    torch.testing.assert_close(
        many(grey.expand(-1, 20, -1, -1)), conv(grey.expand(-1, 3, -1, -1)), atol=1e-5, rtol=0
    )
    depth = inflate.append_depth_channel(conv)
    rgb = torch.rand(1, 3, 6, 6)
    torch.testing.assert_close(depth(torch.cat([rgb, 0 * grey], 1)), conv(rgb))
    assert (depth(torch.cat([rgb, grey], 1)) - conv(rgb)).abs().max() > 1e-3


def test_tubelets_of_a_still_video_are_its_patches() -> None:
    patches = nn.Conv2d(3, 6, 4, 4)
    image = torch.rand(1, 3, 8, 8)
    tubelets = vit.tubelet_embedding(patches, 2)
    torch.testing.assert_close(tubelets(still(image, 4)), still(patches(image), 2))


def test_group_norm_and_its_two_ends() -> None:
    x = torch.rand(2, 8, 3, 4, 4)
    as_layer = nn.functional.layer_norm(x, x.shape[1:])
    torch.testing.assert_close(norm_layer("ln", 8)(x), as_layer)
    torch.testing.assert_close(norm_layer("in", 8)(x), nn.InstanceNorm3d(8)(x))
    groups = norm_layer("gn", 48)
    assert isinstance(groups, nn.GroupNorm)
    assert groups.num_groups == 16


@pytest.mark.parametrize(("kind", "independent"), [("bn", False), ("gn", True), ("in", True)])
def test_which_norms_look_at_batch_mates(kind: Norm, independent: bool) -> None:
    layer = norm_layer(kind, 8)
    x = torch.rand(2, 8, 3, 4, 4)
    alone, together = layer(x[:1]), layer(x)[:1]
    assert bool((alone - together).abs().max() < 1e-5) == independent


def test_group_norm_network_trains_with_two_clips() -> None:
    network = ResNet3d(Pathway(depths=(1, 1, 1, 1), width=8, norm="gn"), 2)
    clips, labels = torch.rand(2, 3, 4, 32, 32), torch.tensor([0, 1])
    optimiser = torch.optim.Adam(network.parameters(), 0.003)
    losses = []
    for _ in range(6):
        loss = nn.functional.cross_entropy(network(clips), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["r2plus1d", "slowfast", "i3d", "toy_3d"])
def test_every_network_can_be_built_with_group_norm(name: str) -> None:
    with torch.device("meta"):
        network = renorm(registry.build(name), "gn")
    assert not any(isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d) for m in network.modules())
    assert network(**registry.example_inputs(registry.find(name))).shape[0] == 1


def test_renormed_blocks_still_start_as_the_identity() -> None:
    network = renorm(ResNet3d(Pathway(depths=(1, 1, 1, 1), width=8), 2), "gn")
    norms = [m for m in network.modules() if isinstance(m, nn.GroupNorm)]
    assert len(norms) == 17
    assert sum(not norm.weight.any() for norm in norms) == 4


@pytest.mark.parametrize("affinity", ["softmax", "gaussian", "dot"])
@pytest.mark.parametrize("pool", [False, True])
def test_nonlocal_starts_as_identity(affinity: nonlocal_block.Affinity, pool: bool) -> None:
    block = nonlocal_block.NonLocal(8, affinity, pool)
    x = torch.randn(2, 8, 2, 4, 4)
    assert torch.equal(block(x), x)
    if affinity != "dot":
        torch.testing.assert_close(block.weights(x).sum(2), torch.ones(2, 32))


def woken() -> nonlocal_block.NonLocal:
    block = nonlocal_block.NonLocal(8).eval()
    assert isinstance(block.norm, nn.BatchNorm3d)
    nn.init.uniform_(block.norm.weight, 0.5, 1.5)
    return block


def test_nonlocal_has_no_order_of_positions() -> None:
    block, x = woken(), torch.randn(1, 8, 2, 3, 3)
    order = torch.randperm(18)
    shuffled = x.flatten(2)[..., order].reshape(x.shape)
    expected = block(x).flatten(2)[..., order].reshape(x.shape)
    torch.testing.assert_close(block(shuffled), expected, atol=1e-5, rtol=0)
    even = block(torch.ones(1, 8, 2, 3, 3))
    assert (even - even[..., :1, :1, :1]).abs().max() < 1e-5


def test_nonlocal_sees_everything_at_once() -> None:
    x = torch.randn(1, 8, 2, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(woken()(x)[0, :, 0, 0, 0].sum(), x)
    assert (gradient.abs().amax((0, 1)) > 0).all()


def test_inserted_nonlocal_blocks_change_nothing_at_first() -> None:
    network = ResNet3d(Pathway(depths=(1, 4, 6, 1), width=4), 3).eval()
    clip = torch.rand(1, 3, 2, 32, 32)
    before = network(clip)
    changed = nonlocal_block.insert_nonlocal(network)
    assert sum(isinstance(m, nonlocal_block.NonLocal) for m in changed.modules()) == 5
    assert torch.equal(changed(clip), before)


@pytest.mark.parametrize("size", [5, 6, 7, 8])
def test_same_padding_gives_the_ceiling(size: int) -> None:
    x = torch.rand(1, 1, size, size, size)
    for kernel, stride in ((7, 2), (3, 2), (2, 2), (3, 1)):
        padded = pad_same(x, (kernel,) * 3, (stride,) * 3)
        assert (padded.shape[2] - kernel) // stride + 1 == -(-size // stride)


def test_i3d_logits_are_a_mean_over_its_steps() -> None:
    with torch.device("meta"):
        network = InceptionI3d(7)
        clip = torch.rand(1, 3, 32, 224, 224)
    assert network.eval().steps(clip).shape == (1, 7, 3)
    assert network(clip).shape == (1, 7)
