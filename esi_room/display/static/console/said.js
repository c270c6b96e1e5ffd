// @ts-check
/**
 * What was said in a case, out of the lines of its record. Pure functions.
 *
 * Rules:
 * - A correction is no entry of its own here: it stands with what it corrects, which stays, struck out.
 * - What counts is what was said, with every correction of it applied in order; null takes a field out.
 */

/**
 * @typedef {{record: string, seq: number, type: string, time: string, received: string, source: string, data: any}} Line
 * @typedef {object} Said
 * @property {number} seq
 * @property {"form" | "started" | "phase" | "ended" | "alert"} kind
 * @property {string} form          its name, where it is a form
 * @property {string} time          when it happened
 * @property {string} received      when it was said
 * @property {string | null} actor
 * @property {Record<string, any>} data    as it was said
 * @property {Record<string, any> | null} counts  as it counts; null: withdrawn
 * @property {{seq: number, reason: string, actor: string}[]} corrections
 */

const KINDS = /** @type {Record<string, Said["kind"]>} */ ({
  "procedure.started": "started",
  "procedure.phase": "phase",
  "procedure.ended": "ended",
  "alert.acknowledged": "alert",
});
const NOT_SAID = ["actor", "code"];

/** @param {string} type  whether the console keeps such a line */
export function isKept(type) {
  return type in KINDS || type.startsWith("clinical.") || type === "record.amended" || type === "carm.order";
}

/**
 * Oldest first.
 * @param {Iterable<Line>} lines
 * @returns {Said[]}
 */
export function said(lines) {
  /** @type {Map<number, Said>} */
  const found = new Map();
  for (const line of [...lines].sort((a, b) => a.seq - b.seq)) {
    if (line.type === "clinical.correction") correct(found.get(line.data.seq), line);
    else if (line.type.startsWith("clinical.")) found.set(line.seq, entry(line, "form", line.type.slice("clinical.".length)));
    else if (line.type in KINDS) found.set(line.seq, entry(line, KINDS[line.type], ""));
  }
  return [...found.values()];
}

/**
 * @param {Line} line
 * @param {Said["kind"]} kind
 * @param {string} form
 * @returns {Said}
 */
function entry(line, kind, form) {
  const data = Object.fromEntries(Object.entries(line.data).filter(([name]) => !NOT_SAID.includes(name)));
  const { seq, time, received } = line;
  return { seq, kind, form, time, received, actor: line.data.actor ?? null, data, counts: data, corrections: [] };
}

/**
 * @param {Said | undefined} what
 * @param {Line} line
 */
function correct(what, line) {
  if (!what) return;
  const { seq, data } = line;
  what.corrections.push({ seq, reason: data.reason, actor: data.actor });
  const merged = { ...what.counts, ...data.fields };
  what.counts = data.withdrawn ? null : Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

/**
 * The last form of this name that counts.
 * @param {Said[]} all
 * @param {string} form
 * @param {(counts: Record<string, any>) => boolean} [fits]
 * @returns {Record<string, any> | null}
 */
export function lastOf(all, form, fits = () => true) {
  return all.findLast((each) => each.form === form && each.counts !== null && fits(each.counts))?.counts ?? null;
}

/**
 * How often each form was said, as it counts.
 * @param {Said[]} all
 * @returns {Map<string, number>}
 */
export function counted(all) {
  const times = new Map();
  for (const { form, counts } of all) if (form && counts) times.set(form, (times.get(form) ?? 0) + 1);
  return times;
}

/**
 * The syringes for the hand, and what is left in each by what was said: drawn up less injected, given and discarded.
 * `open`: an injection from it has begun and not ended.
 * @param {Said[]} all
 * @returns {{syringe: string, left_ml: number, open: boolean}[]}
 */
export function syringes(all) {
  /** @type {Map<string, {syringe: string, left_ml: number, open: boolean}>} */
  const found = new Map();
  for (const { form, counts } of all) {
    if (!counts) continue;
    if (form === "drawn_up" && !counts.pump) {
      const drawn = counts.components.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.volume_ml, 0);
      found.set(counts.syringe, { syringe: counts.syringe, left_ml: drawn, open: false });
    }
    const from = found.get(counts.syringe);
    if (!from) continue;
    if (form === "hand_injection") from.open = counts.state === "begin";
    if (form === "hand_injection" || form === "drug_discarded") from.left_ml -= counts.volume_ml ?? 0;
    if (form === "drug_given") from.left_ml -= counts.component?.volume_ml ?? 0;
  }
  for (const each of found.values()) each.left_ml = Math.max(0, Math.round(each.left_ml * 1000) / 1000);
  return [...found.values()];
}
