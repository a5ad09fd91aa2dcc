"""A chain of custody in other people's words: W3C PROV-JSON, and OpenLineage run events.

Both say what happened and who did it, and neither has a word for proof: each link's verdict goes along as an attribute.

Sources: PROV-JSON (W3C member submission of 24 April 2013) and PROV-DM (w3.org/TR/prov-dm); OpenLineage 2-0-2
(openlineage.io/spec/2-0-2/OpenLineage.json).
"""

import uuid
from typing import Final

from trustrag.monitor.custody import VERIFIED, Chain, Link
from trustrag.provenance.canonical import rfc3339
from trustrag.provenance.names import passage_name
from trustrag.provenance.statement import Context, T

PRODUCER: Final = T + "openlineage/v1"
CHAIN_FORMAT: Final = T + "chain/v1"
RUN_EVENT: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"

Plain = dict[str, object]


def prov_of(chain: Chain, context: Context) -> Plain:
    """The chain as a PROV-JSON document."""
    return _Prov(chain, context).document()


class _Prov:
    """One document in the making. A record's name is of its digest, so two chains agree about what they share."""

    def __init__(self, chain: Chain, context: Context) -> None:
        self._chain = chain
        self._context = context
        self._made: dict[str, Plain] = {}

    def document(self) -> Plain:
        chain = self._chain
        (file,), (chunk,) = chain.named("file"), chain.named("chunk")
        document = self._put("entity", f"document-{file.facts['sha256']}", file, label=chain.doc_id)
        passage = self._put("entity", f"passage-{chunk.facts['chunkRoot']}-{chain.chunk}", chunk)
        self._relate("wasDerivedFrom", generatedEntity=passage, usedEntity=document)
        source, ingest = (self._step(name, link, document) for name, link in self._first())
        self._relate("used", activity=ingest[1], entity=source[0])
        self._relate("wasGeneratedBy", entity=passage, activity=ingest[1])
        for link in chain.named("review"):
            _, activity = self._step("review", link, ingest[0])
            self._relate("used", activity=activity, entity=passage)
        self._sealed(passage)
        prefix = {"trustrag": T, "default": f"{T}{self._context.store}:"}
        return {"prefix": prefix, **self._made}

    def _first(self) -> list[tuple[str, Link]]:
        return [(name, self._chain.named(name)[0]) for name in ("attestation", "ingest")]

    def _sealed(self, passage: str) -> None:
        (snapshot,), (checkpoint,) = self._chain.named("snapshot"), self._chain.named("checkpoint")
        (policy,) = self._chain.named("policy")
        sealed, activity = self._step("seal", snapshot, passage)
        head = self._put("entity", f"checkpoint-{checkpoint.facts['root']}", checkpoint)
        self._relate("wasDerivedFrom", generatedEntity=head, usedEntity=sealed)
        rules = self._put("entity", f"policy-{policy.facts['digest']}", policy)
        self._relate("used", activity=activity, entity=rules)
        for link in self._chain.named("touched"):
            touched = self._put("activity", f"snapshot-{link.facts['snapshot']}", link)
            self._relate("wasInfluencedBy", influencee=passage, influencer=touched)

    def _step(self, name: str, link: Link, used: str) -> tuple[str, str]:
        """The statement that somebody signed, and the doing that it tells of."""
        digest = link.facts["envelope"]
        entity = self._put("entity", f"envelope-{digest}", link)
        activity = self._put("activity", f"{name}-{digest}", link)
        agent = self._put(
            "agent", f"key-{link.facts['key']}", link, label=str(link.facts.get("source") or name)
        )
        self._relate("used", activity=activity, entity=used)
        self._relate("wasGeneratedBy", entity=entity, activity=activity)
        self._relate("wasAssociatedWith", activity=activity, agent=agent)
        return entity, activity

    def _put(self, kind: str, name: str, link: Link, label: str = "") -> str:
        told: Plain = {"prov:label": label or link.name}
        time = link.facts.get("issued", link.facts.get("finished"))
        if kind == "activity" and isinstance(time, int):
            told["prov:endTime"] = rfc3339(time)
        if kind != "agent":
            told["trustrag:verdict"] = link.verdict
            told |= {
                f"trustrag:{fact}": str(value) for fact, value in link.facts.items() if value is not None
            }
        self._made.setdefault(kind, {})[f"trustrag:{name}"] = told
        return f"trustrag:{name}"

    def _relate(self, kind: str, **ends: str) -> None:
        records = self._made.setdefault(kind, {})
        records[f"_:{kind}{len(records) + 1}"] = {f"prov:{end}": name for end, name in ends.items()}


def openlineage_of(chain: Chain, context: Context) -> list[Plain]:
    """The chain as OpenLineage run events, one for each thing that was done, oldest first."""
    namespace = f"trustrag://{context.store}/{context.tenant}/{context.collection}"
    file, passage = chain.doc_id, passage_name(chain.doc_id, chain.chunk)
    steps: list[tuple[str, Link, list[str], list[str]]] = []
    for name, job, inputs, outputs in (
        ("attestation", "attest", [file], ["attestation"]),
        ("ingest", "ingest", [file, "attestation"], [passage]),
        ("review", "review", [passage], ["review"]),
        ("snapshot", "seal", [passage], ["standing"]),
    ):
        steps += [(job, link, inputs, outputs) for link in chain.named(name)]
    return [_event(namespace, *step) for step in steps]


def _event(namespace: str, job: str, link: Link, inputs: list[str], outputs: list[str]) -> Plain:
    time = link.facts.get("issued", link.facts.get("finished"))
    facet = {"_producer": PRODUCER, "_schemaURL": CHAIN_FORMAT, "verdict": link.verdict, **link.facts}
    return {
        "eventType": "COMPLETE" if link.verdict == VERIFIED else "FAIL",
        "eventTime": rfc3339(time if isinstance(time, int) else 0),
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT,
        "run": {
            # The same statement is the same run, whoever exports it.
            "runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{T}{link.facts['envelope']}")),
            "facets": {"trustrag_link": facet},
        },
        "job": {"namespace": namespace, "name": job},
        "inputs": [{"namespace": namespace, "name": name} for name in inputs],
        "outputs": [{"namespace": namespace, "name": name} for name in outputs],
    }
