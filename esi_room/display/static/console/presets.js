// @ts-check
/**
 * What the console knows of this room's work beyond the schemas: in which phase a form is wanted, and what is said so
 * often that it takes two touches. A form that is named nowhere here is offered under "More".
 *
 * Rules:
 * - A preset fills a form in; it is shown whole before it is recorded, and can be changed there.
 * - Coded words are taken from the schema where they are: a word that the room does not know is not offered.
 * - Amounts are suggestions from what was said in this case, else of the table CONTRAST: they can be changed with the
 *   same touch that looks them over.
 */
import { console as texts } from "../texts.js";
import { lastOf, syringes } from "./said.js";
import { formTitle, inOrder, word } from "./words.js";

/** @typedef {import("./schema.js").Form} Form */
/** @typedef {import("./said.js").Said} Said */
/**
 * @typedef {object} Preset
 * @property {string} form
 * @property {string} label
 * @property {Record<string, any>} fields
 * @property {string[]} [ask]   fields to look over in the confirmation
 * @property {boolean} [open]   open the form with these fields, and do not ask yet
 * @property {boolean} [first]  what comes next
 * @typedef {{key: string, title: string, scale?: boolean, presets: Preset[]}} Row
 */

/** Forms by phase, in the order in which they are mostly said. */
export const FORMS = /** @type {Record<string, string[]>} */ ({
  evaluation: ["assessment", "indication", "prior_imaging", "pain", "earlier_injections", "allergies", "anticoagulants", "consent"],
  preparation: ["sign_in", "positioning", "monitoring", "iv_access", "sedation", "drawn_up", "time_out"],
  guidance: ["drug_given", "approach", "needle", "loss_of_resistance", "aspiration", "contrast", "view"],
  injection: ["hand_injection", "injection_pressure", "sensation", "drug_discarded", "needle", "closure"],
  recovery: ["sign_out", "motor_sensory", "pain", "padss", "instructions", "follow_up_plan", "discharge", "sign_off"],
  follow_up: [],
});
/** Wanted in every phase. */
export const ANY_TIME = ["note", "patient", "complication", "drug_given", "drug_discarded"];
/** What has a place of its own on this page. */
export const ELSEWHERE = new Set(["start", "phase", "end", "acknowledge", "override", "correction", "amend", "backfill", "frame"]);
/** Not asked for in every case: their absence is nothing to point at. */
export const NOT_ALWAYS = new Set(["injection_pressure", "sensation", "drug_discarded", "hand_injection", "loss_of_resistance"]);

/** What most rooms use. */
const CONTRAST = { drug: "iohexol", concentration: 240, concentration_unit: "mg{I}/mL", volume_ml: 2 };
const SCALE = "NRS";

/** What is said often, by phase: functions of what was said, to rows of presets. */
const OFTEN = /** @type {Record<string, ((of: Of) => Row | null)[]>} */ ({
  evaluation: [pain("baseline"), patient("called", "in_the_room")],
  preparation: [patient("in_the_room", "to_table", "sedated", "alert"), each("sedation", "level"), monitored],
  guidance: [each("needle", "action"), each("aspiration", "result"), contrast, views(true), views(false)],
  injection: [byHand, each("sensation", "kind"), each("aspiration", "result"), each("needle", "action"), discarded],
  recovery: [pain("after"), each("needle", "action"), patient("free_of_pain", "uncomfortable", "nauseous", "alert", "off_monitoring"), moving],
  follow_up: [pain("after")],
});

/** @typedef {{forms: Map<string, Form>, said: Said[]}} Of */

/**
 * The rows of a phase; a note last.
 * @param {string | null} phase
 * @param {Of} of
 * @returns {Row[]}
 */
export function rowsOf(phase, of) {
  const makers = phase === null ? [] : (OFTEN[phase] ?? []);
  return [...makers, notes].map((make) => make(of)).filter((row) => row !== null && row.presets.length > 0).map((row) => /** @type {Row} */ (row));
}

/**
 * @param {Of} of
 * @param {string} form
 * @param {string} field
 * @returns {any[]} what can be chosen there; nothing where the room has no such form
 */
function options({ forms }, form, field) {
  return inOrder(forms.get(form)?.fields.find((each) => each.name === field)?.options ?? []);
}

/**
 * One preset for each word of a field.
 * @param {string} form
 * @param {string} field
 * @returns {(of: Of) => Row}
 */
function each(form, field) {
  return (of) => ({
    key: form,
    title: formTitle(form),
    presets: options(of, form, field).map((option) => ({ form, label: word(option), fields: { [field]: option } })),
  });
}

/** @param {...string} states @returns {(of: Of) => Row} */
function patient(...states) {
  return (of) => ({
    key: "patient",
    title: formTitle("patient"),
    presets: options(of, "patient", "state")
      .filter((state) => states.includes(state))
      .map((state) => ({ form: "patient", label: word(state), fields: { state } })),
  });
}

/** On the scale that was used before in this case. @param {string} occasion @returns {(of: Of) => Row | null} */
function pain(occasion) {
  return (of) => {
    if (!options(of, "pain", "occasion").includes(occasion)) return null;
    const scale = lastOf(of.said, "pain")?.scale ?? SCALE;
    const scores = Array.from({ length: 11 }, (_, score) => score);
    return {
      key: "pain",
      title: `${formTitle("pain")} ${word(occasion)} (${word(scale)})`,
      scale: true,
      presets: scores.map((score) => ({ form: "pain", label: String(score), fields: { occasion, score, scale } })),
    };
  };
}

/** @param {Of} of @returns {Row} */
function monitored(of) {
  const connected = options(of, "monitoring", "connected").filter((each) => ["ecg", "spo2", "nibp"].includes(each));
  const label = connected.map(word).join(", ");
  return { key: "monitoring", title: formTitle("monitoring"), presets: connected.length ? [{ form: "monitoring", label, fields: { connected } }] : [] };
}

/** @param {Of} of @returns {Row} */
function contrast(of) {
  const component = lastOf(of.said, "contrast", (counts) => counts.given)?.component ?? CONTRAST;
  const given = { given: true, component, imaging: "live_fluoroscopy" };
  const spreads = options(of, "contrast", "spread").filter((spread) => ["epidural", "foraminal", "nerve_root"].includes(spread));
  const seen = options(of, "contrast", "uptake");
  return {
    key: "contrast",
    title: formTitle("contrast"),
    presets: [
      ...spreads.map((spread) => ({
        form: "contrast",
        label: texts.work.no_uptake(word(component.drug), word(spread)),
        fields: { ...given, spread: [spread] },
        ask: ["component.volume_ml"],
      })),
      ...(seen.length ? [
        { form: "contrast", label: texts.work.uptake, fields: { ...given, uptake: ["vascular"] }, open: true },
        { form: "contrast", label: texts.work.not_given, fields: { given: false }, open: true },
      ] : []),
    ],
  };
}

/** @param {boolean} withContrast @returns {(of: Of) => Row} */
function views(withContrast) {
  return (of) => ({
    key: `view-${withContrast}`,
    title: formTitle("view") + (withContrast ? `, ${texts.work.with_contrast}` : ""),
    presets: options(of, "view", "projection").map((projection) => ({
      form: "view",
      label: word(projection),
      fields: { projection, contrast: withContrast },
    })),
  });
}

/** @param {Of} of @returns {Row} */
function byHand(of) {
  const presets = syringes(of.said).flatMap(({ syringe, left_ml, open }) => [
    { form: "hand_injection", label: texts.work.begins(syringe), fields: { state: "begin", syringe }, first: !open && left_ml > 0 },
    {
      form: "hand_injection",
      label: texts.work.ends(syringe),
      fields: { state: "end", syringe, ...(left_ml > 0 ? { volume_ml: left_ml } : {}) },
      ask: ["volume_ml"],
      first: open,
    },
  ]);
  const other = { form: "hand_injection", label: texts.work.form_named(formTitle("hand_injection")), fields: {}, open: true };
  const known = of.forms.has("hand_injection");
  return { key: "hand_injection", title: formTitle("hand_injection"), presets: known ? [...presets, ...(presets.length ? [] : [other])] : [] };
}

/** @param {Of} of @returns {Row} */
function discarded(of) {
  const left = syringes(of.said).filter(({ left_ml, open }) => left_ml > 0 && !open);
  return {
    key: "drug_discarded",
    title: formTitle("drug_discarded"),
    presets: left.map(({ syringe, left_ml }) => ({
      form: "drug_discarded",
      label: texts.work.rest_of(syringe, left_ml),
      fields: { syringe, volume_ml: left_ml },
      ask: ["volume_ml"],
    })),
  };
}

/** @param {Of} of @returns {Row} */
function moving(of) {
  const known = options(of, "motor_sensory", "motor").includes("normal");
  const fields = { motor: "normal", sensory: "normal", bromage: 0 };
  return { key: "motor_sensory", title: formTitle("motor_sensory"), presets: known ? [{ form: "motor_sensory", label: texts.work.all_normal, fields }] : [] };
}

/** @param {Of} of @returns {Row} */
function notes({ forms }) {
  const presets = texts.notes.map((text) => ({ form: "note", label: text, fields: { text } }));
  const own = { form: "note", label: texts.work.form_named(formTitle("note")), fields: {}, open: true };
  return { key: "note", title: formTitle("note"), presets: forms.has("note") ? [own, ...presets] : [] };
}
