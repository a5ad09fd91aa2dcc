// Verifies a trust root with @tufjs/models, as a reader in another language would.
// usage: node tufjs.mjs KEYS_FOLDER; exit 0 when all of it holds, 1 with the reason when not.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { Metadata, MetadataKind } from "@tufjs/models";

const folder = process.argv[2];
const read = (...parts) => readFileSync(join(folder, ...parts));
const parse = (kind, data) => Metadata.fromJSON(kind, JSON.parse(data.toString("utf8")));

function current(metadata, name) {
  if (metadata.signed.isExpired(new Date())) throw new Error(`${name} has expired`);
  return metadata;
}

function latestRoot() {
  const versions = readdirSync(join(folder, "metadata"))
    .map((name) => /^(\d+)\.root\.json$/.exec(name))
    .filter(Boolean)
    .map((match) => Number(match[1]))
    .sort((a, b) => a - b);
  let root = parse(MetadataKind.Root, read("metadata", `${versions[0]}.root.json`));
  root.verifyDelegate("root", root);
  for (const version of versions.slice(1)) {
    const next = parse(MetadataKind.Root, read("metadata", `${version}.root.json`));
    root.verifyDelegate("root", next);
    next.verifyDelegate("root", next);
    if (next.signed.version !== root.signed.version + 1) throw new Error("a root version is missing");
    root = next;
  }
  return current(root, "root");
}

async function main() {
  const root = latestRoot();
  const timestamp = parse(MetadataKind.Timestamp, read("metadata", "timestamp.json"));
  root.verifyDelegate("timestamp", timestamp);
  current(timestamp, "timestamp");

  const snapshotFile = timestamp.signed.snapshotMeta;
  const snapshotBytes = read("metadata", `${snapshotFile.version}.snapshot.json`);
  snapshotFile.verify(snapshotBytes);
  const snapshot = parse(MetadataKind.Snapshot, snapshotBytes);
  root.verifyDelegate("snapshot", snapshot);
  current(snapshot, "snapshot");

  const targetsFile = snapshot.signed.meta["targets.json"];
  const targetsBytes = read("metadata", `${targetsFile.version}.targets.json`);
  targetsFile.verify(targetsBytes);
  const targets = parse(MetadataKind.Targets, targetsBytes);
  root.verifyDelegate("targets", targets);
  current(targets, "targets");

  const target = targets.signed.targets["policy.json"];
  await target.verify(Readable.from(read("targets", `${target.hashes.sha256}.policy.json`)));
}

main().catch((error) => {
  console.log(`${error.name}: ${error.message}`);
  process.exit(1);
});
