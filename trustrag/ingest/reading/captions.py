"""Captions of pictures and recordings: a JSON list of them, COCO's form, or lines of JSONL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from trustrag.ingest.document import Document, Origin, ReadProblem
from trustrag.ingest.reading.formats import Unreadable, decode, one_line
from trustrag.ingest.reading.media import is_media, media_of, tool_of
from trustrag.ingest.reading.records import each, load_json, own_name, record
from trustrag.provenance.canonical import Metadata, encode_metadata

_MEDIA = ("media", "image", "audio", "video", "file_name")
_CAPTIONS = ("caption", "captions", "alt_text")
_JSON_LIMIT = 8 * 1024 * 1024
_JSON = "application/json"


def is_caption(fields: Mapping[str, Metadata]) -> bool:
    """Whether a record names a media file and says what is in it.

    One that has a `text` is a text, unless its `file_name` is a picture's or a recording's, as in image folders.
    """
    file_name = fields.get("file_name")
    if "text" in fields:
        return isinstance(file_name, str) and is_media(file_name)
    return any(name in fields for name in _MEDIA) and any(name in fields for name in _CAPTIONS)


def read_captions(data: bytes, origin: Origin) -> Iterator[Document | ReadProblem]:
    """Read a JSON file of captions: one object, a list of them, or COCO's `images` and `annotations`.

    Each is a document named by its `id`, else by its place; a picture with several captions is one. The bytes that are
    signed are the object's in RFC 8785 form.
    """
    try:
        if len(data) > _JSON_LIMIT:
            raise Unreadable(f"larger than {_JSON_LIMIT:,} bytes; split it, or make it JSONL")
        entries = _entries(load_json(decode(data)))
    except Unreadable as error:
        yield ReadProblem(origin.doc_id, one_line(str(error)))
        return
    yield from each(_captions(entries, origin), origin)


def _entries(value: Metadata) -> Sequence[Metadata]:
    if isinstance(value, dict) and isinstance(value.get("images"), list):
        return _from_coco(value)
    if isinstance(value, dict) and is_caption(value):
        return [value]
    if isinstance(value, list) and value:
        return value
    raise Unreadable(
        "no captions in it: objects with a media file and a caption, or COCO's images and annotations"
    )


def _from_coco(value: Mapping[str, Metadata]) -> list[Metadata]:
    """COCO's captions, one entry a picture."""
    images, annotations = value.get("images"), value.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise Unreadable("COCO's form has a list of images and one of annotations")
    said: dict[object, list[Metadata]] = {}
    for annotation in annotations:
        if isinstance(annotation, dict) and isinstance(annotation.get("image_id"), str | int):
            said.setdefault(annotation["image_id"], []).append(annotation.get("caption"))
    found: list[Metadata] = []
    for image in images:
        if not isinstance(image, dict):
            raise Unreadable("an image of COCO's form is no object")
        known = {name: image[name] for name in ("id", "file_name", "sha256", "tool") if name in image}
        number = known.get("id")
        captions = said.get(number, []) if isinstance(number, str | int) else []
        found.append({**known, "captions": captions})
    return found


def _captions(entries: Sequence[Metadata], origin: Origin) -> Iterator[tuple[str, Callable[[], Document]]]:
    for number, entry in enumerate(entries, 1):
        yield str(number), partial(_caption, entry, number, origin)


def _caption(entry: Metadata, number: int, origin: Origin) -> Document:
    if not isinstance(entry, dict) or not is_caption(entry):
        raise Unreadable("no caption: an object with a media file and a caption")
    data = encode_metadata(entry)
    fields = dict(entry)
    return caption_of(fields, own_name(fields, number), data, origin)


def caption_of(fields: dict[str, Metadata], name: str, data: bytes, origin: Origin) -> Document:
    """The document of one caption. Raises Unreadable where its media is not there, or not the one it was made from.

    `sha256` (of the media) and `tool` (a name, or {"name", "version"}) are signed in `derivedFrom`; other fields are
    its metadata.
    """
    media_name = next((value for key in _MEDIA if isinstance(value := fields.pop(key, None), str)), None)
    if media_name is None:
        raise Unreadable(f"no media file in a field {', '.join(_MEDIA)}")
    text = _text(fields)
    declared, tool = fields.pop("sha256", None), tool_of(fields.pop("tool", None))
    if declared is not None and not isinstance(declared, str):
        raise Unreadable("the digest of its media is no text")
    media = media_of(origin, media_name, declared=declared, tool=tool)
    return record(
        origin,
        name,
        data,
        text,
        {**fields, **media.metadata},
        media_type=_JSON,
        title=media.name,
        derived_from=(media.derivation,),
        whole=True,
    )


def _text(fields: dict[str, Metadata]) -> str:
    """Its captions, one a line."""
    given = [fields.pop(name) for name in (*_CAPTIONS, "text") if name in fields]
    lines: list[str] = []
    for value in given:
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, str) for part in parts):
            raise Unreadable("its caption is no text")
        lines += [part.strip() for part in parts if isinstance(part, str) and part.strip()]
    return "\n".join(dict.fromkeys(lines))
