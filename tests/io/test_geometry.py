"""Voxels keep their place on the way to napari."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_segdino.io.geometry import Geometry, layer_transform, view_frame

STRAIGHT = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)


def grid(direction=STRAIGHT, size=(4, 5, 6), spacing=(1.0, 2.0, 3.0)):
    flat = tuple(np.array(direction, float).ravel().tolist())
    return Geometry(size, spacing, (10.0, 20.0, 30.0), flat)


def world(geometry, index_zyx):
    """Where a layer with this transform shows a voxel."""
    placed = layer_transform(geometry, 3)
    at = np.array(index_zyx) * geometry.spacing[::-1]
    if "translate" in placed:
        return at + placed["translate"]
    return (placed["affine"] @ [*at, 1])[:3]


def test_affine_has_rows_and_columns_reversed():
    affine = grid().affine
    assert np.allclose(affine @ [1, 0, 0, 1], [33, 20, 10, 1])  # one step in z: 3 mm
    assert np.allclose(affine @ [0, 0, 1, 1], [30, 20, 11, 1])  # one in x: 1 mm


def test_axial_scans_are_scaled_and_moved_only():
    assert layer_transform(grid(), 3) == {"translate": (30.0, 20.0, 10.0)}
    assert np.allclose(world(grid(), (1, 1, 1)), [33, 22, 11])


def test_flips_are_shown_with_left_on_the_right_and_back_down():
    nifti = grid(np.diag([-1, -1, 1]))  # x to the right, y to the front
    assert np.allclose(world(nifti, (1, 2, 3)), [33, 20 - 4, 10 - 3])
    affine = layer_transform(nifti, 3)["affine"]
    assert np.allclose(np.diag(affine), [1, -1, -1, 1])


def test_sagittal_slices_stand_upright():
    # columns: where array x, y, z point in LPS. x: back, y: down, z: left
    sagittal = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float)
    assert layer_transform(grid(sagittal), 3) == {"translate": (10.0, -30.0, 20.0)}
    head_down = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], float)
    affine = layer_transform(grid(head_down), 3)["affine"]
    assert np.allclose(np.diag(affine), [1, -1, 1, 1])


def test_coronal_slices_stand_upright():
    coronal = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
    assert layer_transform(grid(coronal), 3) == {"translate": (20.0, -30.0, 10.0)}


SIGNED = [
    np.eye(3)[list(order)] * np.array(signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize("direction", SIGNED)
def test_every_orientation_can_be_sliced(direction):
    tilt = Rotation.from_euler("xyz", [4, -7, 5], degrees=True).as_matrix()
    for one in (direction, tilt @ direction):
        shown, origin = view_frame(grid(one))
        assert (np.abs(np.diag(shown)) > 0.9).all()
        assert np.allclose(shown @ shown.T, np.eye(3))
        assert sorted(np.abs(origin)) == [10, 20, 30]


def test_distances_are_those_of_the_patient():
    tilt = Rotation.from_euler("xyz", [14, -27, 35], degrees=True).as_matrix()
    one = grid(tilt)
    a, b = np.array([0, 4, 2]), np.array([5, 1, 3])
    true = np.linalg.norm((one.affine @ [*a, 1] - one.affine @ [*b, 1])[:3])
    assert np.linalg.norm(world(one, a) - world(one, b)) == pytest.approx(true)


def test_an_almost_straight_direction_counts_as_straight():
    tiny = Rotation.from_euler("x", 1e-5).as_matrix()
    assert "translate" in layer_transform(grid(tiny), 3)
    more = Rotation.from_euler("z", 1e-2).as_matrix()
    assert "affine" in layer_transform(grid(more), 3)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("degrees", [9, -30])
def test_tilted_slices_are_shown_straight(axis, degrees):
    """Else napari shows one slice and paints on another."""
    tilt = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    assert layer_transform(grid(tilt), 3) == {"translate": (30.0, 20.0, 10.0)}
    flipped = np.diag([-1, -1, 1]) @ tilt
    affine = layer_transform(grid(flipped), 3)["affine"]
    assert np.allclose(affine[:3, :3], np.diag([1, -1, -1]))


def test_one_slice_of_a_tilted_grid_is_not_tilted():
    tilt = Rotation.from_euler("xyz", [14, -27, 35], degrees=True).as_matrix()
    placed = layer_transform(grid(tilt, size=(4, 5, 1)), 2)
    assert len(placed["translate"]) == 2


def test_dict_round_trip():
    one = grid(np.diag([-1.0, 1, -1]))
    assert Geometry.from_dict(one.to_dict()) == one


def test_plain_grid():
    one = Geometry.plain((6, 5, 4), (3.0, 2.0, 1.0))
    assert one.array_shape == (6, 5, 4)
    assert one.spacing == (1.0, 2.0, 3.0)
    assert np.allclose(np.diag(one.affine), [3, 2, 1, 1])
