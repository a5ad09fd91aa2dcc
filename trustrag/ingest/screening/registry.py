"""The screens by name: those that come with the package, those of installed plug-ins, and what a missing library costs.

A plug-in is one class and one line in its package's metadata:

    [project.entry-points."trustrag.screens"]
    units = "acme_screens:UnitScreen"

The class takes no arguments and is a `Screen` or, with a method `among`, a `BatchScreen`. What is installed runs.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TypeAlias

from trustrag.errors import ConfigError
from trustrag.ingest.screening.base import Screen
from trustrag.ingest.screening.battery import Battery
from trustrag.ingest.screening.company import BatchScreen

GROUP = "trustrag.screens"
AnyScreen: TypeAlias = Screen | BatchScreen
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ROOM = "trustrag.ingest.screening"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a screen of ours is, what it needs, and whether it runs when nobody asked for others."""

    module: str
    name: str
    needs: tuple[str, ...] = ()
    default: bool = True
    extra: str = ""

    def missing(self) -> tuple[str, ...]:
        return tuple(library for library in self.needs if find_spec(library) is None)

    def made(self) -> AnyScreen:
        screen: AnyScreen = getattr(import_module(f"{_ROOM}.{self.module}"), self.name)()
        return screen


# In the order in which they look: the cheap ones first.
_OURS: Mapping[str, _Entry] = {
    "size": _Entry("basic", "SizeScreen"),
    "encoding": _Entry("basic", "EncodingScreen"),
    "language": _Entry("basic", "LanguageScreen", ("py3langid",)),
    "hidden-unicode": _Entry("hidden", "HiddenTextScreen"),
    "lookalikes": _Entry("lookalikes", "LookalikeScreen", ("confusable_homoglyphs",)),
    "concealed-text": _Entry("concealed", "ConcealedTextScreen"),
    "injection": _Entry("injection", "InjectionScreen", ("confusable_homoglyphs",)),
    "markers": _Entry("markers", "MarkerScreen"),
    "bait": _Entry("bait", "BaitScreen"),
    "gibberish": _Entry("gibberish", "GibberishScreen"),
    "secrets": _Entry("credentials", "SecretScreen", ("detect_secrets",)),
    "personal-data": _Entry("personal", "PersonalDataScreen"),
    "licence": _Entry("licence", "LicenceScreen", ("license_expression",)),
    "code": _Entry("code", "CodeScreen"),
    "comments": _Entry("code", "comment_screen", ("confusable_homoglyphs",)),
    "code-licence": _Entry("code", "CodeLicenceScreen", ("license_expression",)),
    "bandit": _Entry("code", "BanditScreen", ("bandit",), extra="code"),
    "media": _Entry("media", "MediaScreen"),
    "toxicity": _Entry("models", "ToxicityScreen", ("profanity_check",), default=False, extra="screens"),
    "presidio": _Entry("models", "PresidioScreen", ("presidio_analyzer", "spacy"), default=False, extra="screens"),
    "floods": _Entry("floods", "FloodScreen", ("rensa",)),
    "contradiction": _Entry("contradiction", "ContradictionScreen"),
    "outliers": _Entry("geometry", "OutlierScreen"),
    "hubs": _Entry("geometry", "HubScreen"),
    "drift": _Entry("geometry", "DriftScreen"),
}  # fmt: skip


def names(*, default: bool = False) -> tuple[str, ...]:
    """Every screen that can be asked for here, plug-ins included; with `default`, those that run unasked."""
    ours = (name for name, entry in _OURS.items() if entry.default or not default)
    return (*ours, *sorted(_plug_ins()))


def choose(
    wanted: Collection[str] | None = None,
    *,
    required: Collection[str] = (),
    advisory: Collection[str] = (),
    more: Sequence[AnyScreen] = (),
) -> Battery:
    """The battery of these screens; by default, of those that run unasked.

    A screen whose library is not installed is left out and told in the battery's notices, unless it is `required`.
    Those named in `advisory` tell and don't decide. `more` are screens made by the caller: rules, allowed languages;
    one takes the place of the screen of its name. Raises ConfigError for a name that no screen has, for a required
    screen that can't be had, and for a plug-in that is broken.
    """
    made = {screen.name: screen for screen in more}
    plug_ins = _plug_ins()
    known = tuple(dict.fromkeys((*_OURS, *sorted(plug_ins), *made)))
    asked = set(names(default=True) if wanted is None else wanted) | set(required) | set(made)
    _require_known(sorted({*asked, *advisory} - set(known)), known)
    screens: list[AnyScreen] = []
    notices: list[str] = []
    for name in known:
        if name in made:
            screens.append(made[name])
        elif name in plug_ins and name in asked:
            screens.append(_plugged(plug_ins[name]))
        elif name in asked and not (missing := _OURS[name].missing()):
            screens.append(_OURS[name].made())
        elif name in asked:
            notices.append(_notice(name, missing, required=name in required))
    return Battery(
        [screen for screen in screens if isinstance(screen, Screen)],
        batch=[screen for screen in screens if isinstance(screen, BatchScreen)],
        advisory=advisory,
        notices=notices,
    )


def _require_known(unknown: Sequence[str], known: Sequence[str]) -> None:
    if unknown:
        raise ConfigError(f"there is no screen {unknown[0]!r}; there are: {', '.join(known)}")


def _notice(name: str, missing: Sequence[str], *, required: bool) -> str:
    """What to say of a screen that can't be had. Raises ConfigError where it is required."""
    extra = _OURS[name].extra
    what = f"trustrag-provenance[{extra}]" if extra else missing[0].replace("_", "-")
    notice = f"the screen {name} does not run: {', '.join(missing)} is not installed (pip install '{what}')"
    if required:
        raise ConfigError(f"the contract requires it: {notice}")
    return notice


def _plug_ins() -> dict[str, EntryPoint]:
    """The plug-ins of this environment by name. Raises ConfigError for one that takes a name of ours, or two of one."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in _OURS or point.name in found:
            raise ConfigError(f"two screens are named {point.name}: uninstall or rename {_origin(point)}")
        if not _NAME.fullmatch(point.name):
            raise ConfigError(
                f"{_origin(point)}: {point.name!r} is no name for a screen (lower case, digits, dashes)"
            )
        found[point.name] = point
    return found


def _plugged(point: EntryPoint) -> AnyScreen:
    """The screen of a plug-in. Whatever its package raises becomes one ConfigError that names it."""
    try:
        screen = point.load()()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"the plug-in screen {point.name} of {_origin(point)} cannot be loaded ({reason})"
        ) from error
    fits = isinstance(getattr(screen, "version", None), int) and getattr(screen, "name", None) == point.name
    if not fits or not (callable(getattr(screen, "check", None)) or callable(getattr(screen, "among", None))):
        raise ConfigError(
            f"the plug-in screen {point.name} of {_origin(point)} is no screen: it needs name = {point.name!r}, "
            "version, and check() or among()"
        )
    made: AnyScreen = screen
    return made


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
