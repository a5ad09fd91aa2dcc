"""Read a pickle of plain data without running any of it.

A pickle is a program for a small machine, and two of its instructions call whatever they name. Restricting what may be
named still leaves a machine that calls, sets attributes and hands its own insides about; so this is another machine, of
the few instructions that plain data and documents need, in which a class is a name and nothing can be called. What it
builds from a class is an `Instance`: that name, and the state it was given. Any other instruction refuses the pickle.

It takes three times as long as `pickle` does, which is of no weight beside embedding. It is iterative, so no nesting is
too deep for it, and every instruction makes at most one value, so the limits below bound its memory.

Source: the instructions as `pickletools` documents them; it only takes them apart.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trustrag.errors import MalformedError

BYTES_LIMIT: Final = 1 << 30
VALUES_LIMIT: Final = 30_000_000
"""Most instructions: some hundred bytes of memory each at worst."""

_SETS: Final = frozenset({("builtins", "set"), ("__builtin__", "set")})
_MARK: Final = object()


@dataclass(slots=True, eq=False)
class Instance:
    """An object that was pickled: "module.Class", and the state it would be given. Nothing was imported."""

    of: str
    state: object = None


@dataclass(frozen=True, slots=True)
class _Name:
    """A class by its name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def unpickle(data: bytes, classes: frozenset[str]) -> object:
    """The value in a pickle: None, bool, int, float, str, list, tuple, dict, set, and instances of these `classes`.

    Raises MalformedError, and nothing else, for any other pickle, and names what it asks for. Containers may hold
    themselves: whoever walks the value bounds the walk.
    """
    if len(data) > BYTES_LIMIT:
        raise MalformedError(f"a pickle of {len(data):,} bytes; the limit is {BYTES_LIMIT:,}")
    machine = _Machine(classes)
    try:
        for count, (opcode, argument, place) in enumerate(pickletools.genops(data)):
            if count == VALUES_LIMIT:
                raise MalformedError(f"a pickle of more than {VALUES_LIMIT:,} instructions")
            if opcode.name == "STOP":
                return machine.result(at_end=place == len(data) - 1)
            step = _STEPS.get(opcode.name)
            if step is None:
                raise MalformedError(
                    f"instruction {opcode.name} at byte {place}: not in a pickle of documents"
                )
            step(machine, argument)
    except MalformedError:
        raise
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        MemoryError,
        UnicodeError,
    ) as error:
        # A program that takes from an empty stack, or a text that is none: damaged, or made to confuse.
        raise MalformedError(f"no sound pickle ({type(error).__name__})") from error
    raise MalformedError("a pickle without an end")


class _Machine:
    """Stack and memo. `_MARK` on the stack opens a list of arguments."""

    def __init__(self, classes: frozenset[str]) -> None:
        self.classes = classes
        self.stack: list[Any] = []
        self.memo: dict[int, object] = {}

    def result(self, *, at_end: bool) -> object:
        if len(self.stack) != 1 or not at_end or isinstance(self.stack[0], _Name) or self.stack[0] is _MARK:
            raise MalformedError("a pickle that holds more than one value, or none")
        return self.stack[0]

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise MalformedError("a pickle that takes a mark for a value")
        return value

    def top(self, kind: type) -> Any:
        """What is on top, which has to be of exactly this type: nothing of ours is ever changed by a program."""
        if type(self.stack[-1]) is not kind:
            raise MalformedError(
                f"a pickle that fills a {type(self.stack[-1]).__name__} as if it were a {kind.__name__}"
            )
        return self.stack[-1]

    def marked(self) -> list[Any]:
        """Everything above the last mark, which goes with it."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise MalformedError("a pickle without a mark where one is needed")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def name(self, module: object, name: object) -> None:
        found = _Name(str(module), str(name))
        if str(found) not in self.classes and (found.module, found.name) not in _SETS:
            raise MalformedError(f"it asks for {_shown(found)}: not a plain document; nothing of it was run")
        self.push(found)

    def instance(self) -> None:
        """NEWOBJ: a class and no arguments."""
        arguments, of = self.pop(), self.pop()
        if not isinstance(of, _Name) or (of.module, of.name) in _SETS or arguments != ():
            raise MalformedError("it makes something that is not a plain document; nothing of it was run")
        self.push(Instance(str(of)))

    def reduce(self) -> None:
        """REDUCE: only to make a set of a list, as older protocols do."""
        arguments, of = self.pop(), self.pop()
        plain = isinstance(of, _Name) and (of.module, of.name) in _SETS and type(arguments) is tuple
        if not plain or len(arguments) != 1 or type(arguments[0]) is not list:
            raise MalformedError(f"it calls {_shown(of)}: not a plain document; nothing of it was run")
        self.push(_as_set(arguments[0]))

    def build(self) -> None:
        """BUILD: the state of an instance, kept and not acted upon."""
        state, target = self.pop(), self.top(Instance)
        if target.state is not None:
            raise MalformedError("a pickle that builds one object twice")
        target.state = state

    def fill(self, values: list[Any]) -> None:
        """Pairs of keys and values into the dict on top."""
        target = self.top(dict)
        if len(values) % 2:
            raise MalformedError("a pickle with a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key)] = value


def _key(value: object) -> object:
    if type(value) not in (str, int, float, bool, type(None)):
        raise MalformedError(f"a pickle with a {type(value).__name__} for a key")
    return value


def _as_set(values: list[Any]) -> set[object]:
    return {_key(value) for value in values}


def _shown(value: object) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))[:120]


def _add_items(machine: _Machine, _: object) -> None:
    values = machine.marked()
    machine.top(set).update(_as_set(values))


def _append(machine: _Machine, _: object) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine, _: object) -> None:
    values = machine.marked()
    machine.top(list).extend(values)


def _set_item(machine: _Machine, _: object) -> None:
    value, key = machine.pop(), machine.pop()
    machine.fill([key, value])


def _set_items(machine: _Machine, _: object) -> None:
    machine.fill(machine.marked())


def _dict(machine: _Machine, _: object) -> None:
    values = machine.marked()
    machine.push({})
    machine.fill(values)


def _tuple(length: int) -> Callable[[_Machine, object], None]:
    def step(machine: _Machine, _: object) -> None:
        machine.push(tuple(machine.pop() for _ in range(length))[::-1])

    return step


def _global(machine: _Machine, argument: object) -> None:
    module, _, name = str(argument).partition(" ")
    machine.name(module, name)


def _stack_global(machine: _Machine, _: object) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _put(machine: _Machine, argument: object) -> None:
    # The memo is only asked for what is in it; a number out of order takes no room for those before it.
    machine.memo[int(str(argument))] = machine.stack[-1]


def _memoize(machine: _Machine, _: object) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: _Machine, argument: object) -> None:
    machine.push(machine.memo[int(str(argument))])


def _push(machine: _Machine, argument: object) -> None:
    machine.push(argument)


def _nothing(machine: _Machine, argument: object) -> None:
    pass


_STEPS: Final[Mapping[str, Callable[[_Machine, Any], None]]] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": lambda machine, _: machine.push(_MARK),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _push),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _push),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.marked())),
    "LIST": lambda machine, _: machine.push(machine.marked()),
    "DICT": _dict,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "ADDITEMS": _add_items,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _memoize,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "NEWOBJ": lambda machine, _: machine.instance(),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
