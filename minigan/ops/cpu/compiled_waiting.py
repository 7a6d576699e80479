"""Waiting for a number to change, without the interpreter's lock: a thread that sleeps takes long to wake."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg"

from numba.core import types
from numba.core.extending import intrinsic

from minigan.ops.cpu.jit import kernel


@kernel
def changed(numbers, i, seen, turns):
    """Whether numbers[i] is another than `seen`, or becomes so while it is looked at `turns` times."""
    for _ in range(turns):  # noqa: SIM110  (numba has no any)
        if _now(numbers, i) != seen:
            return True
    return False


@intrinsic
def _now(typingctx, numbers, i):
    """numbers[i] as it is in memory now, whoever wrote it."""

    def build(context, builder, signature, arguments):
        place = builder.gep(context.make_array(numbers)(context, builder, arguments[0]).data, [arguments[1]])
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(numbers, i), build
