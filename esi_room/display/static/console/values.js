// @ts-check
/**
 * From what stands in a form's controls (a draft) to what is sent (a value), and back. Pure functions.
 *
 * Rules:
 * - A draft holds what a person typed, however wrong: it is never tidied under their hands.
 * - What is not filled in is not said: it is left out of the value, never sent as an empty word or a zero.
 * - The limits are the schema's, said in words here so that a slip shows before it is sent; the room's word counts.
 */

import { localToMoment, momentToLocal } from "./zone.js";

/** @typedef {import("./schema.js").Field} Field */
/** @typedef {{path: string, field: Field, what: "missing"|"number"|"whole"|"range"|"length"|"items"|"pattern"|"time"|"json"|"comma"}} Problem */
/** @typedef {{value: any, problems: Problem[]}} Read */

/**
 * The draft of a field before anybody has touched it.
 * @param {Field} field
 * @returns {any}
 */
export function blank(field) {
  if (field.initial !== undefined && field.kind !== "object") return draftOf(field, field.initial, "UTC");
  switch (field.kind) {
    case "choice":
    case "yes_no":
      return null;
    case "choices":
      return [];
    case "list":
      return field.required ? [blank(/** @type {Field} */ (field.item))] : [];
    case "group":
      return field.required ? blankGroup(/** @type {Field[]} */ (field.fields)) : null;
    default:
      return "";
  }
}

/**
 * @param {Field[]} fields
 * @returns {Record<string, any>}
 */
export function blankGroup(fields) {
  return Object.fromEntries(fields.map((field) => [field.name, blank(field)]));
}

/**
 * The draft that says `value`.
 * @param {Field} field
 * @param {any} value
 * @param {string} zone  the room's
 * @returns {any}
 */
export function draftOf(field, value, zone) {
  if (value === undefined || value === null) return field.required ? blank(field) : empty(field);
  switch (field.kind) {
    case "number":
    case "whole":
      return String(value);
    case "moment":
      return momentToLocal(value, zone);
    case "list":
      return value.map((/** @type {any} */ each) => draftOf(/** @type {Field} */ (field.item), each, zone));
    case "group":
      return draftOfGroup(/** @type {Field[]} */ (field.fields), value, zone);
    case "object":
      return JSON.stringify(value);
    default:
      return value;
  }
}

/**
 * @param {Field[]} fields
 * @param {Record<string, any>} value
 * @param {string} zone
 */
export function draftOfGroup(fields, value, zone) {
  return Object.fromEntries(
    fields.map((field) => [
      field.name,
      field.name in value || field.initial === undefined ? draftOf(field, value[field.name], zone) : blank(field),
    ]),
  );
}

/** @param {Field} field */
function empty(field) {
  if (field.kind === "choices" || field.kind === "list") return [];
  return field.kind === "choice" || field.kind === "yes_no" || field.kind === "group" ? null : "";
}

/**
 * What the draft of a whole form says.
 * @param {Field[]} fields
 * @param {Record<string, any>} drafts
 * @param {string} zone
 * @param {string} [prefix]
 * @returns {Read}
 */
export function readGroup(fields, drafts, zone, prefix = "") {
  /** @type {Record<string, any>} */
  const value = {};
  /** @type {Problem[]} */
  const problems = [];
  for (const field of fields) {
    const read = readField(field, drafts[field.name], zone, prefix + field.name);
    problems.push(...read.problems);
    if (read.value !== undefined) value[field.name] = read.value;
  }
  return { value, problems };
}

/**
 * @param {Field} field
 * @param {any} draft
 * @param {string} zone
 * @param {string} path
 * @returns {Read}
 */
export function readField(field, draft, zone, path) {
  const wrong = (/** @type {Problem["what"]} */ what) => ({ value: undefined, problems: [{ path, field, what }] });
  if (isEmpty(field, draft)) return field.required ? wrong("missing") : { value: undefined, problems: [] };
  switch (field.kind) {
    case "number":
    case "whole":
      return readNumber(field, String(draft).trim(), wrong);
    case "text":
      return readText(field, draft, wrong);
    case "moment": {
      const moment = localToMoment(draft, zone);
      return moment === null ? wrong("time") : { value: moment, problems: [] };
    }
    case "choices":
      return counted(field, draft.length) ? { value: draft, problems: [] } : wrong("items");
    case "list":
      return readList(field, draft, zone, path, wrong);
    case "group":
      return readGroup(fieldsOf(field), draft, zone, `${path}.`);
    case "object":
      return readObject(draft, wrong);
    default:
      return { value: draft, problems: [] };
  }
}

/**
 * @param {Field} field
 * @param {any} draft
 * @returns {boolean}
 */
function isEmpty(field, draft) {
  if (draft === null || draft === undefined) return true;
  if (field.kind === "group") return !field.required && fieldsOf(field).every((each) => isEmpty({ ...each, required: false }, draft[each.name]));
  if (field.kind === "choices" || field.kind === "list") return draft.length === 0 && !(field.required && !field.minItems);
  return typeof draft === "string" && draft.trim() === "";
}

/** @param {Field} field @returns {Field[]} */
function fieldsOf(field) {
  return field.fields ?? [];
}

const ONE_NUMBER = /^[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?$/i;
const A_THOUSAND = /^[+-]?\d{1,3},\d{3}$/; // 1,000: a thousand or one? nobody is to guess

/**
 * @param {Field} field
 * @param {string} typed
 * @param {(what: Problem["what"]) => Read} wrong
 * @returns {Read}
 */
function readNumber(field, typed, wrong) {
  if (A_THOUSAND.test(typed)) return wrong("comma");
  const value = ONE_NUMBER.test(typed) ? Number(typed.replace(",", ".")) : Number.NaN;
  if (Number.isNaN(value)) return wrong(field.kind === "whole" ? "whole" : "number");
  if (field.kind === "whole" && !Number.isInteger(value)) return wrong("whole");
  return within(field, value) ? { value, problems: [] } : wrong("range");
}

/**
 * @param {Field} field
 * @param {number} value
 */
function within(field, value) {
  return (
    !(field.min !== undefined && value < field.min) &&
    !(field.max !== undefined && value > field.max) &&
    !(field.above !== undefined && value <= field.above) &&
    !(field.below !== undefined && value >= field.below)
  );
}

/**
 * @param {Field} field
 * @param {string} typed
 * @param {(what: Problem["what"]) => Read} wrong
 * @returns {Read}
 */
function readText(field, typed, wrong) {
  const length = [...typed].length; // characters, as the room counts them
  if (length < (field.minLength ?? 0) || length > (field.maxLength ?? Infinity)) return wrong("length");
  if (field.pattern && !new RegExp(field.pattern, "u").test(typed)) return wrong("pattern");
  return { value: typed, problems: [] };
}

/**
 * @param {Field} field
 * @param {any[]} drafts
 * @param {string} zone
 * @param {string} path
 * @param {(what: Problem["what"]) => Read} wrong
 * @returns {Read}
 */
function readList(field, drafts, zone, path, wrong) {
  if (!counted(field, drafts.length)) return wrong("items");
  const each = drafts.map((draft, n) => readField(/** @type {Field} */ (field.item), draft, zone, `${path}.${n}`));
  return { value: each.map((read) => read.value), problems: each.flatMap((read) => read.problems) };
}

/**
 * @param {Field} field
 * @param {number} count
 */
function counted(field, count) {
  return count >= (field.minItems ?? 0) && count <= (field.maxItems ?? Infinity);
}

/**
 * @param {string} typed
 * @param {(what: Problem["what"]) => Read} wrong
 * @returns {Read}
 */
function readObject(typed, wrong) {
  try {
    const value = JSON.parse(typed);
    return value !== null && typeof value === "object" && !Array.isArray(value)
      ? { value, problems: [] }
      : wrong("json");
  } catch {
    return wrong("json");
  }
}

/**
 * What of `now` differs from `before`: fields to correct, null for what is no longer said.
 * @param {Record<string, any>} before
 * @param {Record<string, any>} now
 * @returns {Record<string, any>}
 */
export function changes(before, now) {
  /** @type {Record<string, any>} */
  const changed = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(now)])) {
    if (JSON.stringify(before[name]) !== JSON.stringify(now[name])) changed[name] = now[name] ?? null;
  }
  return changed;
}
