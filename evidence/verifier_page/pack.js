// Notes, trees, records, and the verdict: 0 proven, 1 altered, 2 no pack, 3 too few signatures.
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const CONTENT = Uint8Array.of(2);
const SUBJECT_AT = {
  message: 5, event: 7, receipt: 6, status: 6, refusal: 6, decision: 17, anomaly: 11,
  device_health: 11, sequence_step: 11, command: 7, alert_change: 6, delivery: 6, gap: 2,
  caseload_entry: 5, disclosure: 5, access: 8, pack_request: 6, pack_decision: 6, pack_use: 7,
};

const parseKey = (text) => {
  const [name, id, ...rest] = text.trim().split("+");
  const data = base64(rest.join("+"));
  if (hex(sha256(utf8(name), utf8("\n"), data).slice(0, 4)) !== id) {
    throw new Altered(`the key of ${name} does not have the id it claims`);
  }
  return { name, id, kind: data[0], bytes: data.slice(1) };
};
const short = (text) => join([utf8(text).length], utf8(text));
const signatureHolds = (key, text, data) => {
  if (key.kind === 1) return [ed25519Holds(key.bytes, utf8(text), data), 0n];
  const [time, signature] = [bigEndian(data.slice(0, 8)), data.slice(8)];
  if (key.kind === 4) {
    return [ed25519Holds(key.bytes, utf8(`cosignature/v1\ntime ${time}\n${text}`), signature), time];
  }
  const [origin, size, root] = text.split("\n");
  const head = join(utf8("subtree/v1\n\0"), short(key.name), u64(time), short(origin));
  return [mldsa44Holds(key.bytes, join(head, u64(0), u64(size), base64(root)), signature), time];
};
const signaturesOf = (note, keys) => {
  const gap = note.lastIndexOf("\n\n");
  const text = note.slice(0, gap + 1);
  const found = { text, logs: new Set(), witnesses: new Map(), mldsa: new Set() };
  for (const line of note.slice(gap + 2).split("\n").filter((one) => one)) {
    const [, name, packed] = line.split(" ");
    const data = base64(packed);
    for (const key of keys) {
      if (key.name !== name || key.id !== hex(data.slice(0, 4))) continue;
      const [true_, time] = signatureHolds(key, text, data.slice(4));
      if (!true_) throw new Altered(`the signature of ${name} is false`);
      if (key.kind === 1) found.logs.add(name);
      else if (key.kind === 4) found.witnesses.set(name, time);
      else found.mldsa.add(name);
    }
  }
  return found;
};

const treeRoot = (leaves, size, hashes) => {
  const places = [...leaves.keys()].sort((a, b) => a - b);
  if (!places.length || places[0] < 0 || places[places.length - 1] >= size) {
    throw new Altered("a leaf is shown that its tree does not have");
  }
  let used = 0;
  const descend = (start, end, low, high) => {
    if (low === high) {
      if (used >= hashes.length) throw new Altered("a proof has too few hashes");
      used += 1;
      return hashes[used - 1];
    }
    if (end - start === 1) return leaves.get(start);
    let half = 1;
    while (2 * half < end - start) half *= 2;
    let between = low;
    while (between < high && places[between] < start + half) between += 1;
    const left = descend(start, start + half, low, between);
    return sha256(NODE, left, descend(start + half, end, between, high));
  };
  const root = descend(0, size, 0, places.length);
  if (used !== hashes.length) throw new Altered("a proof has too many hashes");
  return root;
};

// Enough of CBOR for a record's kind and subject: integers, floats, texts, bytes, simple values.
const decode = (data) => {
  const values = [];
  for (let at = 0; at < data.length;) {
    const [major, extra] = [data[at] >> 5, data[at] & 31];
    const width = { 24: 1, 25: 2, 26: 4, 27: 8 }[extra] || 0;
    const number = width ? bigEndian(data.slice(at + 1, at + 1 + width)) : BigInt(extra);
    at += 1 + width;
    if (major === 2 || major === 3) {
      const body = data.slice(at, at + Number(number));
      values.push(major === 2 ? body : new TextDecoder("utf-8", { fatal: true }).decode(body));
      at += Number(number);
    } else if (major === 0 || major === 1 || major === 7) values.push(number);
    else if (major !== 4 || values.length) throw new Altered("a record is not encoded as records are");
  }
  return values;
};
// Returns the values of a record; of a fix, nothing.
const checkSubject = (payload, run, chain) => {
  let [right, values] = [false, null];
  if (payload[0] === 1) right = run.kind === "fix" && same(payload.slice(1, 33), chain);
  else {
    values = decode(payload);
    right = values[1] === run.kind && values[need(SUBJECT_AT, run.kind)] === run.subject;
  }
  if (!right) throw new Altered("a record is of another kind, or of another device, than is claimed");
  return values;
};

const readRuns = (lines, runs, batches) => {
  const counts = runs.map(() => ({ shown: 0, withheld: 0, last: 0 }));
  const [records, times] = [[], []];
  let [current, place, leaf, run, chain] = [-1, 0, null, null, null];
  for (const line of lines) {
    const [number, claimed, batch, index, ...content] = JSON.parse(line);
    if (number !== current) {
      if (number !== current + 1) throw new Altered("a run of records is missing");
      current = number;
      run = need(runs, number);
      [place, leaf] = [need(run, "first") - 1, unhex(run.before)];
      chain = sha256(utf8(run.kind), LEAF, utf8(run.subject));
      if (place === 0 && !same(leaf, sha256(utf8("cordon chain v1\n"), chain))) {
        throw new Altered("a chain does not begin as chains do");
      }
    }
    place += 1;
    if (claimed !== place) throw new Altered(`record ${place} of the ${run.kind} records is missing`);
    let commitment = unhex(content[0]);
    if (content.length === 2) {
      const payload = unhex(content[1]);
      commitment = sha256(CONTENT, commitment, payload);
      const values = checkSubject(payload, run, chain);
      if (values !== null) records.push(values);
      else times.push(bigEndian(payload.slice(33, 41)));
    }
    counts[current][content.length === 2 ? "shown" : "withheld"] += 1;
    counts[current].last = place;
    leaf = sha256(LEAF, leaf, u64(place), commitment);
    const leaves = need(need(batches, run.log), batch).leaves;
    if (leaves.has(index)) throw new Altered("two records are shown at one place of a batch");
    leaves.set(index, leaf);
  }
  if (current + 1 !== runs.length) throw new Altered("a run of records is missing");
  const told = runs.map((one, n) => ({ kind: one.kind, subject: one.subject, first: one.first, ...counts[n] }));
  return [told, records, times];
};
const openBatch = (batch) => {
  const header = unhex(batch.header);
  if (header.length !== 136 || new TextDecoder().decode(header.slice(0, 4)) !== "CBH1") {
    throw new Altered("a batch has no header of a known kind");
  }
  const number = (at) => Number(bigEndian(header.slice(at, at + 8)));
  return {
    header, leaves: new Map(), number: number(8), rows: number(16), root: header.slice(40, 72),
    hashes: batch.hashes.map(unhex),
  };
};
const checkLog = (log, batches, trusted) => {
  for (const batch of batches) {
    if (!same(treeRoot(batch.leaves, batch.rows, batch.hashes), batch.root)) {
      throw new Altered(`records of batch ${batch.number} are not those that were sealed`);
    }
  }
  const keys = (trusted.length ? trusted : [...log.keys, ...log.witness_keys]).map(parseKey);
  const signed = signaturesOf(log.checkpoint, keys);
  const [origin, size, root] = signed.text.split("\n");
  if (origin !== log.origin || !signed.logs.has(origin)) throw new Altered("the log's own signature is missing");
  const leaves = new Map(batches.map((batch) => [batch.number, sha256(LEAF, batch.header)]));
  if (!same(treeRoot(leaves, Number(size), log.hashes.map(unhex)), base64(root))) {
    throw new Altered("the batches are not part of the log that was signed");
  }
  return { origin, size: Number(size), witnesses: signed.witnesses, mldsa: signed.mldsa };
};

const OLDER = "cordon evidence 2";
const NEWEST = "cordon evidence 3";
const verifyPack = (lines, proofText, keysText, needed, files) => {
  try {
    const proof = JSON.parse(proofText);
    if (proof.format !== OLDER && proof.format !== NEWEST) throw new Error("format");
    const logs = need(proof, "logs");
    const batches = logs.map((log) => log.batches.map(openBatch));
    const [runs, records, times] = readRuns(lines.split("\n").filter((line) => line), need(proof, "runs"), batches);
    need(proof, "erasures");
    const trusted = keysText.split(/\s+/).filter((text) => text);
    const found = logs.map((log, n) => checkLog(log, batches[n], trusted));
    const custody = {};
    if (proof.format === NEWEST) {
      custody.approval = checkApproval(proof, records);
      checkTimes(proof, custody.approval, times);
      custody.overlays = checkOverlays(proof, records, custody.approval, files);
    }
    const enough = found.every((log) => log.witnesses.size >= needed) && trusted.length > 0;
    return { exit_code: enough ? 0 : 3, proof, runs, logs: found, keysGiven: trusted.length > 0, ...custody };
  } catch (error) {
    const altered = error instanceof Altered;
    return { exit_code: altered ? 1 : 2, reason: error.message };
  }
};
