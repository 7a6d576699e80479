"""Errors of the image layers name the argument, what was given and what is expected."""

import re

import numpy as np
import pytest
from cases import IMAGES, network

import minigan as mg

SIZES = r"must be an int >= 1 or two of them \(vertical, horizontal\), got"
SIDES = r"padding must be an int >= 0, \(\(top, bottom\), \(left, right\)\), 'same' or 'valid', got"
ONLY_SIDES = r"padding must be an int >= 0 or \(\(top, bottom\), \(left, right\)\), got"
NOT_SIZES = [0, -1, True, 2.0, "2", None, (1, 0), (1, 2.0), (True, 1), (1,), (1, 2, 3), [], {2}]
NOT_SIDES = [
    -1, True, 1.0, None, (1, 2), (1, 2, 3), ((1, 2),), ((1, 2), (3,)), ((1, 2), (3, -1)), ((1, 2), (3, True)),
    ((1, 2), 3), ((0.0, 1), (1, 1)), (("same", 1), (1, 1)),
]  # fmt: skip


def says(value):
    return re.escape(repr(value)) + "$"


@pytest.mark.parametrize("kind", [mg.Conv2D, mg.ConvTranspose2D])
@pytest.mark.parametrize("wrong", NOT_SIZES, ids=repr)
def test_wrong_sizes_of_a_convolution(kind, wrong):
    with pytest.raises(ValueError, match=f"^kernel_size {SIZES} {says(wrong)}"):
        kind(1, 1, wrong)
    for name in ("stride", "dilation"):
        with pytest.raises(ValueError, match=f"^{name} {SIZES} {says(wrong)}"):
            kind(1, 1, 2, **{name: wrong})
    for name in ("c_in", "c_out"):
        with pytest.raises(ValueError, match=f"^{name} must be an int >= 1, got {says(wrong)}"):
            kind(**{"c_in": 1, "c_out": 1, "kernel_size": 1} | {name: wrong})


@pytest.mark.parametrize("wrong", NOT_SIZES, ids=repr)
def test_wrong_sizes_of_the_others(wrong):
    for name, make in (
        ("pool_size", mg.MaxPool2D),
        ("pool_size", mg.AvgPool2D),
        ("factor", mg.UpSample2D),
        ("stride", lambda v: mg.MaxPool2D(2, stride=v)),
    ):
        if name != "stride" or wrong is not None:  # None: side by side
            with pytest.raises(ValueError, match=f"^{name} {SIZES} {says(wrong)}"):
                make(wrong)


@pytest.mark.parametrize("wrong", NOT_SIDES, ids=repr)
def test_wrong_padding(wrong):
    for make, accepted in (
        (lambda v: mg.Conv2D(1, 1, 1, padding=v), SIDES),
        (lambda v: mg.ConvTranspose2D(1, 1, 1, padding=v), SIDES),
        (mg.ZeroPad2D, ONLY_SIDES),
    ):
        with pytest.raises(ValueError, match=f"^{accepted} {says(wrong)}"):
            make(wrong)


@pytest.mark.parametrize("wrong", [-1, True, 0.0, "same", None, (1, -1), (1,), ((0, 1), (0, 1))], ids=repr)
def test_wrong_output_padding(wrong):
    message = r"output_padding must be an int >= 0 or two of them \(vertical, horizontal\), got "
    with pytest.raises(ValueError, match=f"^{message}{says(wrong)}"):
        mg.ConvTranspose2D(1, 1, 3, stride=3, output_padding=wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: mg.Conv2D(1, 1, 1, padding="sam"),
            "unknown padding 'sam' .did you mean 'same'.*expected same, valid",
        ),
        (lambda: mg.ConvTranspose2D(1, 1, 1, padding="vaild"), "unknown padding 'vaild' .did you mean 'valid'"),
        (lambda: mg.ZeroPad2D("same"), f"{ONLY_SIDES} 'same'$"),
        (
            lambda: mg.ConvTranspose2D(1, 1, 3, stride=2, output_padding=2),
            r"output_padding=\(2, 2\) given; expected less than stride=\(2, 2\) or dilation=\(1, 1\) on each axis",
        ),
        (
            lambda: mg.ConvTranspose2D(1, 1, 3, stride=(3, 1), dilation=(1, 2), output_padding=(2, 2)),
            r"output_padding=\(2, 2\) given; expected less than stride=\(3, 1\) or dilation=\(1, 2\)",
        ),
        (
            lambda: mg.ConvTranspose2D(1, 1, 3, stride=2, padding="same", output_padding=1),
            r"output_padding=\(1, 1\) given with padding='same', .*expected output_padding with a padding in numbers",
        ),
        (
            lambda: mg.ConvTranspose2D(1, 1, 3, stride=2, padding="valid", output_padding=(0, 1)),
            r"output_padding=\(0, 1\) given with padding='valid'",
        ),
    ],
)
def test_wrong_words_and_output_padding(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SMALL = [  # a layer, the largest size that it refuses, the smallest that it accepts
    (mg.Conv2D(2, 1, (3, 4)), (2, 3), (3, 4)),
    (mg.Conv2D(2, 1, (3, 2), dilation=(3, 2), padding=((1, 2), (0, 1))), (3, 1), (4, 2)),
    (mg.Conv2D(2, 1, (9, 2), padding=((5, 5), (0, 0))), (1, 1), (1, 2)),
    (mg.ConvTranspose2D(2, 1, 2, stride=2, padding=3), (3, 3), (4, 4)),
    (mg.ConvTranspose2D(2, 1, 2, stride=(2, 3), padding=((3, 3), (1, 1)), output_padding=(1, 0)), (2, 1), (3, 2)),
    (mg.MaxPool2D((3, 2), stride=1), (2, 1), (3, 2)),
    (mg.AvgPool2D((3, 2)), (2, 1), (3, 2)),
]


@pytest.mark.parametrize(("layer", "refused", "accepted"), SMALL)
def test_images_that_are_too_small(layer, refused, accepted):
    (h, w), (H, W) = refused, accepted
    message = re.escape(f"images of {h} x {w} given; expected at least {H} x {W}")
    net = network(layer)
    for call in (lambda: net(np.ones((1, h, w, 2))), lambda: layer.output_shape((h, w, 2))):
        with pytest.raises(mg.ShapeError, match=message):
            call()
    with pytest.raises(mg.ShapeError, match=f"layer 0 .*: {message}"):
        net.summary((h, w, 2))
    assert net(np.ones((1, H, W, 2))).shape[1:] == layer.output_shape((H, W, 2))
    for h, w in {(H - 1, W), (H, W - 1)} - {(0, W), (H, 0)}:
        with pytest.raises(mg.ShapeError, match=f"at least {H} x {W}"):
            net(np.ones((1, h, w, 2)))


@pytest.mark.parametrize("name", IMAGES)
def test_arrays_that_are_no_images(name):
    layer, (H, W, C) = IMAGES[name]
    net = network(layer)
    channels = C if net.theta.size else "C"
    wrong = [(H, W), (H,), (1, H, W, C), (0, W, C), (H, 0, C), (H, W, 0)]
    for shape in wrong + ([(H, W, C + 1)] if net.theta.size else []):
        message = re.escape(f"images have shape {shape}; expected (H, W, {channels}), none of them 0")
        for call in (lambda s=shape: net(np.ones((2, *s))), lambda s=shape: layer.output_shape(s)):
            with pytest.raises(mg.ShapeError, match=message):
                call()
