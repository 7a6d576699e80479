"""Image layers with hypothesis-drawn sizes: axes of different lengths, images from the smallest size up."""

from hypothesis import strategies as st

import minigan as mg


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def reach(k, d):
    """The number of rows that a dilated kernel spans."""
    return d * (k - 1) + 1


STRIDES = st.one_of(st.just((1, 1)), pairs(1, 3))  # at stride 1 the CPU computes the adjoint differently
PADDINGS = st.one_of(st.just("same"), st.just("valid"), st.integers(0, 2), st.tuples(pairs(0, 3), pairs(0, 3)))


def explicit(padding):
    """((top, bottom), (left, right)) of a numeric padding; zeros for "same" and "valid"."""
    if isinstance(padding, str):
        return (0, 0), (0, 0)
    return ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding


@st.composite
def convolutions(draw, *, paddings=PADDINGS, kernel=4, channels=3, more=4):
    """A Conv2D and an input shape that it accepts, from the smallest one up."""
    k, s, d = draw(pairs(1, kernel)), draw(STRIDES), draw(pairs(1, 3))
    c_in, c_out = draw(pairs(1, channels))
    padding, bias = draw(paddings), draw(st.booleans())
    size = []
    for axis in (0, 1):
        least = 1 if padding == "same" else max(1, reach(k[axis], d[axis]) - sum(explicit(padding)[axis]))
        size.append(least + draw(st.integers(0, more)))
    return mg.Conv2D(c_in, c_out, k, stride=s, padding=padding, dilation=d, bias=bias), (*size, c_in)


@st.composite
def transposes(draw, *, paddings=PADDINGS, kernel=4, channels=3, more=3):
    """A ConvTranspose2D, with output_padding if it accepts one, and an input shape from the smallest one up."""
    k, s, d = draw(pairs(1, kernel)), draw(STRIDES), draw(pairs(1, 3))
    c_in, c_out = draw(pairs(1, channels))
    padding, bias = draw(paddings), draw(st.booleans())
    extra = (0, 0)
    if not isinstance(padding, str):
        extra = tuple(draw(st.integers(0, max(s[axis], d[axis]) - 1)) for axis in (0, 1))
    size = []
    for axis in (0, 1):
        n = 1  # add rows until one is left inside the padding
        while (n - 1) * s[axis] + reach(k[axis], d[axis]) - sum(explicit(padding)[axis]) + extra[axis] < 1:
            n += 1
        size.append(n + draw(st.integers(0, more)))
    layer = mg.ConvTranspose2D(
        c_in, c_out, k, stride=s, padding=padding, dilation=d, bias=bias, output_padding=extra
    )  # fmt: skip
    return layer, (*size, c_in)


@st.composite
def pools(draw):
    """A MaxPool2D or AvgPool2D and an input shape; the windows overlap, touch or leave gaps, and may not fill x."""
    k, s, c = draw(pairs(1, 3)), draw(st.one_of(st.none(), pairs(1, 4))), draw(st.integers(1, 3))
    kind = draw(st.sampled_from([mg.MaxPool2D, mg.AvgPool2D]))
    return kind(k, stride=s), (k[0] + draw(st.integers(0, 5)), k[1] + draw(st.integers(0, 5)), c)


@st.composite
def resizings(draw):
    """A ZeroPad2D or UpSample2D and an input shape."""
    layer = draw(
        st.one_of(
            st.builds(mg.UpSample2D, pairs(1, 3)),
            st.builds(mg.ZeroPad2D, st.one_of(st.integers(0, 2), st.tuples(pairs(0, 2), pairs(0, 2)))),
        )
    )
    return layer, (*draw(pairs(1, 4)), draw(st.integers(1, 3)))


def small_images():
    """One of these layers, small enough to differentiate in every direction."""
    return st.one_of(
        convolutions(kernel=3, channels=2, more=2), transposes(kernel=3, channels=2, more=1), pools(), resizings()
    )
