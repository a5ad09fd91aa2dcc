"""YAML that people write and that decides something: read strictly, and with the line of everything in it.

No aliases (a few lines of them unfold into gigabytes), no second reading of one key, and no dates, which JSON has not.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from trustrag.errors import MalformedError

Place: TypeAlias = tuple[str | int, ...]
"""The way from the top to a value: names of keys and places in lists."""

MAX_DEPTH: Final = 32
_PLAIN: Final = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """As PyYAML's own, without aliases and without dates."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read here", problem_mark=mark)
        return super().compose_node(parent, index)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What a file says, as JSON values, and on which line (from 1) each of them stands."""

    value: Any
    lines: dict[Place, int]

    @classmethod
    def parse(cls, data: bytes, max_bytes: int) -> "YamlFile":
        """Raises MalformedError ("LINE: what is wrong") for anything but one mapping of JSON values."""
        if len(data) > max_bytes:
            raise MalformedError(f"1: {len(data):,} bytes; {max_bytes:,} is the most")
        lines: dict[Place, int] = {}
        try:
            loader = _Loader(data.decode("utf-8"))
            node = loader.get_single_node()
            value = _value(loader, node, (), lines) if node is not None else None
        except UnicodeDecodeError as error:
            raise MalformedError(f"{data[: error.start].count(10) + 1}: it is not UTF-8") from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise MalformedError(
                f"{mark.line + 1 if mark else 1}: {error.problem or error.context}"
            ) from error
        except yaml.YAMLError as error:
            raise MalformedError(f"1: {' '.join(str(error).split())}") from error
        except RecursionError as error:
            raise MalformedError("1: it is nested too deep") from error
        if not isinstance(value, dict):
            raise MalformedError("1: a mapping is due: key: value")
        return cls(value, lines)

    def line(self, place: Place) -> int:
        """The line of a place, or of what is nearest above it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def _value(loader: _Loader, node: yaml.Node, place: Place, lines: dict[Place, int]) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if len(place) > MAX_DEPTH:
        raise yaml.MarkedYAMLError(problem="it is nested too deep", problem_mark=node.start_mark)
    if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN:
        raise yaml.MarkedYAMLError(
            problem=f"the tag {node.tag} is not read here", problem_mark=node.start_mark
        )
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*place, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, item in node.value:
            name = loader.construct_object(key) if isinstance(key, yaml.ScalarNode) else None
            if not isinstance(name, str) or name in found:
                problem = f"{name!r} stands here twice" if isinstance(name, str) else "a key is text"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[(*place, name)] = key.start_mark.line + 1
            found[name] = _value(loader, item, (*place, name), lines)
        return found
    value = loader.construct_object(node)
    if value is not None and not isinstance(value, str | bool | int | float):
        raise yaml.MarkedYAMLError(problem="this is no value that JSON has", problem_mark=node.start_mark)
    return value
