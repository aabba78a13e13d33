"""The sparse factor against dense linear algebra; the pattern against the pairs it comes from."""

import torch

from rcvd.flow.pairs import make_pairs
from rcvd.recon.blocks import BlockMatrix, pattern_of
from rcvd.recon.cholesky import factorise
from rcvd.recon.fronts import plan_fronts, structure_of

CLOSURES = torch.tensor([[2, 45], [45, 2], [11, 38]])


def random_matrix(n_frames: int, reach: int, block: int = 3, shared: int = 2) -> BlockMatrix:
    """A positive definite matrix on the pattern of a clip that comes back."""
    g = torch.Generator().manual_seed(0)
    pairs = make_pairs(n_frames, "dense").pairs
    pairs = torch.cat([pairs[(pairs[:, 0] - pairs[:, 1]).abs() <= reach], CLOSURES])
    matrix = BlockMatrix.zeros(pattern_of(pairs, n_frames), block, shared, torch.zeros(0).double())
    rows = torch.randn(len(pairs), 9, 2 * block + shared, generator=g, dtype=torch.float64)
    matrix = matrix.plus((pairs, rows.transpose(1, 2) @ rows))
    return matrix.plus_diagonal(torch.ones(n_frames * block + shared, dtype=torch.float64))


def test_factor_solves_like_the_dense_matrix() -> None:
    matrix = random_matrix(50, 8)
    dense = matrix.dense()
    fronts = plan_fronts(matrix.pattern)
    assert len(fronts) > 1
    right = torch.randn(len(dense), 2, dtype=torch.float64)
    factor = factorise(matrix, fronts)
    torch.testing.assert_close(factor.solve(right), torch.linalg.solve(dense, right))
    torch.testing.assert_close(factor.solve(right[:, 0]), torch.linalg.solve(dense, right[:, 0]))
    torch.testing.assert_close(matrix.product(right[:, 0]), dense @ right[:, 0])


def test_selected_inverse_equals_the_dense_inverse() -> None:
    matrix = random_matrix(50, 8)
    inverse = torch.linalg.inv(matrix.dense())
    own, following, corner = factorise(matrix, plan_fronts(matrix.pattern)).inverse_blocks()
    for k in range(50):
        block = inverse[3 * k : 3 * k + 3]
        torch.testing.assert_close(own[k], block[:, 3 * k : 3 * k + 3])
        if k < 49:
            torch.testing.assert_close(following[k], block[:, 3 * k + 3 : 3 * k + 6])
    torch.testing.assert_close(corner, inverse[-2:, -2:])


def test_unknowns_that_do_not_move_are_left_out() -> None:
    matrix = random_matrix(50, 8)
    moves = torch.ones(152, dtype=torch.float64)
    moves[:3] = moves[30] = moves[151] = 0
    kept = matrix.restricted(moves).dense()
    still = moves == 0
    assert torch.equal(kept[still], torch.eye(152, dtype=torch.float64)[still])
    assert torch.equal(kept[~still][:, ~still], matrix.dense()[~still][:, ~still])


def test_every_pair_and_clique_has_a_block() -> None:
    pairs = torch.tensor([[0, 3], [0, 5], [3, 0]])
    pattern = pattern_of(pairs, 7)
    blocks = set(zip(pattern.rows.tolist(), pattern.columns.tolist(), strict=True))
    assert {(0, 3), (3, 0), (3, 5), (5, 3), (5, 0)} <= blocks
    assert (1, 5) not in blocks
    keys = pattern.rows * 7 + pattern.columns
    assert torch.equal(keys, keys.unique())


def test_fronts_grow_linearly_with_the_clip() -> None:
    """Multiplications of the factor, in blocks, at four times the frames."""

    def work(n: int) -> int:
        pairs = make_pairs(n, "dense").pairs
        pairs = pairs[(pairs[:, 0] - pairs[:, 1]).abs() <= 32]
        fronts = structure_of(pairs, n).fronts
        return sum(len(f.own) * (len(f.own) + len(f.later)) ** 2 for f in fronts)

    assert work(400) < 5 * work(100)
