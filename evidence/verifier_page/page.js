// The page: files in, words out. Nothing leaves the browser.
const VERDICTS = [
  "PROVEN: every record shown is, bit for bit, as it was sealed, and enough witnesses signed.",
  "ALTERED OR INCOMPLETE",
  "NOT A PACK",
  "NOTHING IS WRONG, BUT IT IS NOT FULLY PROVEN: too few witnesses signed, or no keys were given.",
];
const PARTS = {
  whole: "is there as it was taken in",
  rows: "is there in part: nothing proves these lines but the file as received",
  none: "is not there; proof.json says why",
};
const custodyTold = (result) => {
  if (result.approval === undefined) return ["Approval: nothing is said of it: the pack is of an older format."];
  const found = result.approval;
  const lines = [];
  if (found === null) lines.push("APPROVAL: no second person approved this pack.");
  else {
    const at = new Date(Number(found.at / 1000n)).toISOString();
    lines.push(`Approved by ${found.by} at ${at}, asked for by ${found.requestedBy}, for ${found.recipient}: ${found.purpose}. `
      + "As sealed; names are as stated.");
    if (found.withheld) lines.push(`Withheld, as approved: ${found.withheld}`);
  }
  for (const [overlay, part] of result.overlays) lines.push(`Of others: the file ${overlay} ${PARTS[part]}.`);
  return lines;
};
const told = (result) => {
  if (result.reason !== undefined) return [result.reason];
  const lines = [`Case ${result.proof.case}, made for the side: ${result.proof.side}.`];
  for (const run of result.runs) {
    lines.push(`${run.kind} of ${run.subject}: places ${run.first} to ${run.last} are complete; `
      + `shown: ${run.shown}, withheld: ${run.withheld}`);
  }
  for (const log of result.logs) {
    lines.push(`Log ${log.origin}, size ${log.size}, signed by its own key.`);
    for (const [name, time] of log.witnesses) {
      const at = new Date(Number(time) * 1000).toISOString();
      lines.push(`Witness ${name} signed at ${at}${log.mldsa.has(name) ? ", and by ML-DSA-44" : ""}`);
    }
  }
  lines.push(...custodyTold(result));
  if (!result.keysGiven) lines.push("Keys were taken from the pack itself: take them from where they are published.");
  for (const why of new Set(Object.values(result.proof.absent))) {
    const kinds = Object.keys(result.proof.absent).filter((kind) => result.proof.absent[kind] === why);
    lines.push(`Not in this pack at all: ${why} (${kinds.sort().join(", ")})`);
  }
  for (const text of result.proof.erasures) lines.push(`Erased, as its keeper says: ${text}`);
  for (const [name, count] of Object.entries(result.proof.unsealed ?? {})) lines.push(`Not proven: ${count} records of ${name}.`);
  if (result.proof.older_than_the_log) lines.push(`Not proven: ${result.proof.older_than_the_log} older records.`);
  lines.push("Not provable by anybody: that a position was true when the device sent it.");
  return lines;
};
const check = async () => {
  const files = new Map(Array.from(document.getElementById("files").files, (file) => [file.name, file]));
  const text = async (name) => (files.has(name) ? files.get(name).text() : "");
  const needed = Number(document.getElementById("witnesses").value);
  const keys = document.getElementById("keys").value;
  const bytes = new Map();
  for (const [name, file] of files) if (name.endsWith(".csv")) bytes.set(name, new Uint8Array(await file.arrayBuffer()));
  const result = verifyPack(await text("records.jsonl"), await text("proof.json"), keys, needed, bytes);
  const verdict = document.getElementById("verdict");
  verdict.textContent = VERDICTS[result.exit_code];
  verdict.className = `verdict-${result.exit_code}`;
  const list = document.getElementById("said");
  list.replaceChildren(...told(result).map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
};
document.getElementById("check").addEventListener("click", check);
