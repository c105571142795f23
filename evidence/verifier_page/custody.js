// What a pack claims beside its records: who approved it, and files of others. Checked by sealed records.
class Altered extends Error {}
const need = (object, name) => {
  if (object === null || typeof object !== "object" || object[name] === undefined) throw new Error(`no ${name}`);
  return object[name];
};
const WEEK_US = 604800000000n;
// Where the values stand, counted from 0: layout, kind, columns.
const REQUEST_AT = { at: 2, request: 3, by: 4, case: 6, side: 7, recipient: 8, purpose: 9, from: 10, to: 11, withheld: 12 };
const DECISION_AT = {
  at: 2, request: 3, by: 4, case: 6, side: 7, recipient: 8, purpose: 9, from: 10, to: 11,
  requestedBy: 12, requestedAt: 13, approved: 14, note: 15,
};
const TRUE = 21n;
const named = (values, places) => Object.fromEntries(Object.entries(places).map(([name, at]) => [name, values[at]]));
const plainName = (name) => name.replace(/\s/gu, "").toLowerCase();

const checkApproval = (proof, records) => {
  const request = need(proof, "approval");
  if (request === null) return null;
  const of = (kind, places) => {
    const found = records.filter((values) => values[1] === kind && values[3] === request).pop();
    return found === undefined ? null : named(found, places);
  };
  const decision = of("pack_decision", DECISION_AT);
  const asked = of("pack_request", REQUEST_AT);
  if (decision === null || (asked === null && proof.side === "court")) {
    throw new Altered("the pack names an approval, and the record of it is missing");
  }
  if (decision.approved !== TRUE) throw new Altered("the pack names an approval, and its record says that it was refused");
  if (plainName(decision.by) === plainName(decision.requestedBy)) throw new Altered("who approved the pack is who asked for it");
  const waited = decision.at - decision.requestedAt;
  if (waited < 0n || waited > WEEK_US) throw new Altered("the approval was not given within seven days of the request");
  const window = need(proof, "window_us").map(BigInt);
  if (decision.case !== proof.case || decision.side !== proof.side || decision.from !== window[0] || decision.to !== window[1]) {
    throw new Altered("another case, side or window was approved than that of this pack");
  }
  if (asked !== null) {
    const same = ["case", "side", "recipient", "purpose", "from", "to"].every((name) => asked[name] === decision[name]);
    if (!same || asked.by !== decision.requestedBy || asked.at !== decision.requestedAt) {
      throw new Altered("something else was approved than was asked for");
    }
  }
  return { ...decision, withheld: asked === null ? null : asked.withheld };
};

const micros = (text) => BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1000n + BigInt(text.slice(20, 26));
// `times`: of the positions that are shown.
const checkTimes = (proof, approval, times) => {
  if (approval === null) return;
  const [first, behind] = need(proof, "window_us").map(BigInt);
  if (times.some((time) => time < first || time >= behind)) {
    throw new Altered("a position is shown of a time that is not of the window that was approved");
  }
  for (const interval of approval.withheld ? approval.withheld.split(" ") : []) {
    const [start, end] = interval.split("/").map(micros);
    if (times.some((time) => start <= time && time < end)) {
      throw new Altered("a position is shown of a time that was to be withheld");
    }
  }
};

// `files`: the bytes of the pack's other files by their name without a folder.
const checkOverlays = (proof, records, approval, files) => {
  const imports = new Map();
  for (const values of records) {
    if (values[1] !== "access" || values[10] !== "overlay import" || values[8] !== `case:${proof.case}`) continue;
    const found = /^overlay ([0-9a-f-]{36}): .*, SHA-256 ([0-9a-f]{64}), zone /su.exec(values[16]);
    if (found === null) throw new Altered("a record says that a file was taken in, and not which");
    imports.set(found[1], found[2]);
  }
  const said = new Map();
  for (const one of need(proof, "overlays")) {
    const [overlay, digest, part] = ["overlay", "sha256", "part"].map((name) => need(one, name));
    if (imports.get(overlay) !== digest || said.has(overlay)) {
      throw new Altered(`no sealed record says that the file ${overlay} was taken in so`);
    }
    if (!["whole", "rows", "none"].includes(part)) throw new Altered(`how much is there of the file ${overlay} is not said`);
    if (part === "rows" && approval !== null && !approval.withheld) {
      throw new Altered("a file of others is there in part, and nothing was to be withheld");
    }
    if (part === "whole" && approval !== null && approval.withheld) {
      throw new Altered("a file of others is there whole, and a part was to be withheld");
    }
    if (part !== "none") {
      if (need(one, "file") !== `overlays/${overlay}.csv`) throw new Altered("a file of others is not where such files are");
      const data = files.get(`${overlay}.csv`);
      if (data === undefined) throw new Altered(`the file ${one.file} is missing, or was not chosen`);
      if (part !== "rows" && hex(sha256(data)) !== digest) throw new Altered(`the file ${one.file} is not as it was taken in`);
    }
    said.set(overlay, part);
  }
  if (said.size !== imports.size) throw new Altered("a file of others was taken in for the case, and the pack says nothing of it");
  return said;
};
