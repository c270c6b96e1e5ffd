// @ts-check
/**
 * Forms, fields and values in the words that a person reads. Whatever has no words of its own (a new form, a new coded
 * word) is shown as it is spelled, without the underscores. Pure functions.
 */
import { common, console as texts } from "../texts.js";
import { momentToLocal } from "./zone.js";

/** @typedef {import("./schema.js").Field} Field */

const REGIONS = "CTLS"; // of the spine, from above

/** @param {string} code @returns {string} */
export function plain(code) {
  const words = code.replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {string} form */
export function formTitle(form) {
  return /** @type {Record<string, string>} */ (texts.forms)[form] ?? plain(form);
}

/** @param {string} phase */
export function phaseTitle(phase) {
  return /** @type {Record<string, string>} */ (common.phases)[phase] ?? plain(phase);
}

/**
 * @param {string} place  the form, or the group, that the field is in
 * @param {Field} field
 */
export function fieldTitle(place, field) {
  const known = /** @type {Record<string, string>} */ (texts.fields);
  return known[`${place}.${field.name}`] ?? known[field.name] ?? plain(withoutUnit(field));
}

/**
 * What one of a list is called: of `components` a `drug`.
 * @param {Field} field
 */
export function itemName(field) {
  return /** @type {Record<string, string>} */ (texts.items)[field.name] ?? field.name.replace(/s$/, "");
}

/** @param {Field} field */
function withoutUnit(field) {
  return unitOf(field) ? field.name.replace(/_[a-z0-9]+$/, "").replace(/_mg$/, "") || field.name : field.name;
}

/** @param {Field} field */
export function unitOf(field) {
  if (field.unit) return unit(field.unit);
  return field.hint === "gauge" ? texts.gauge : "";
}

/**
 * What helps to fill it in, beyond its title and unit.
 * @param {string} place
 * @param {Field} field
 */
export function hintOf(place, field) {
  const own = /** @type {Record<string, string>} */ (texts.hints)[`${place}.${field.name}`];
  if (own) return own;
  const said = !field.hint || [unitOf(field), field.unit, "gauge"].includes(field.hint);
  return said || field.kind === "date" || field.kind === "moment" ? "" : (field.hint ?? "");
}

/** @param {string} ucum */
export function unit(ucum) {
  const own = /** @type {Record<string, string>} */ (texts.units);
  return own[ucum] ?? /** @type {Record<string, string>} */ (common.units)[ucum] ?? ucum;
}

/** @param {any} code  a coded word, or a number */
export function word(code) {
  const known = /** @type {Record<string, string>} */ (texts.words);
  return typeof code === "string" ? (known[code] ?? unit(code).replace(/_/g, " ")) : String(code);
}

/** The region of the spine that a level is in; "" for what is none. @param {any} option @returns {string} */
export function regionOf(option) {
  return option === "sacral_hiatus" ? "S" : (/^([CTLS])\d/.exec(option)?.[1] ?? "");
}

/**
 * Options in the order in which they are offered: as the words stand in the texts, the spine from above, then the rest.
 * @param {any[]} options
 * @returns {any[]}
 */
export function inOrder(options) {
  const known = Object.keys(texts.words);
  const rank = (/** @type {any} */ option) => {
    const level = /^([CTLS])(\d+)/.exec(option);
    if (level) return REGIONS.indexOf(level[1]) * 100 + Number(level[2]);
    return 1000 + (known.includes(option) ? known.indexOf(option) : known.length);
  };
  return [...options].sort((a, b) => rank(a) - rank(b));
}

/**
 * A value in words.
 * @param {Field} field
 * @param {any} value
 * @param {string} zone
 * @returns {string}
 */
export function say(field, value, zone) {
  if (value === undefined || value === null) return texts.not_said;
  switch (field.kind) {
    case "yes_no":
      return value ? texts.yes : texts.no;
    case "choice":
      return word(value);
    case "choices":
      return value.length ? inOrder(value).map(word).join(", ") : texts.words.none;
    case "number":
    case "whole":
      return [value, unitOf(field)].filter((part) => part !== "").join(" ");
    case "moment":
      return momentToLocal(value, zone).replace("T", " ");
    case "list":
      return value.map((/** @type {any} */ each) => say(/** @type {Field} */ (field.item), each, zone)).join(" · ");
    case "group":
      return rows(field.name, /** @type {Field[]} */ (field.fields), value, zone)
        .map(({ title, text, alone }) => (alone ? text : `${lower(title)} ${text}`))
        .join(", ");
    case "object":
      return JSON.stringify(value);
    default:
      return String(value);
  }
}

/** What says by itself what it is, and needs no title before it in a sentence. */
const ALONE = new Set(["choice", "choices", "group"]);

/**
 * What a form says, line by line; a value and its unit, which are two fields, in one.
 * @param {string} place
 * @param {Field[]} fields
 * @param {Record<string, any>} value
 * @param {string} zone
 * @returns {{name: string, title: string, text: string, alone: boolean}[]}
 */
export function rows(place, fields, value, zone) {
  const said = fields.filter((field) => value[field.name] !== undefined && value[field.name] !== null);
  const isUnit = (/** @type {Field} */ field) => field.name.endsWith("_unit") && value[field.name.slice(0, -5)] !== undefined;
  return said
    .filter((field) => !isUnit(field) && !(Array.isArray(value[field.name]) && value[field.name].length === 0))
    .map((field) => {
      const itsUnit = value[`${field.name}_unit`];
      const text = say(field, value[field.name], zone) + (itsUnit === undefined ? "" : ` ${unit(itsUnit)}`);
      const alone = ALONE.has(field.kind) || itsUnit !== undefined || unitOf(field) !== "" || field.item?.kind === "group";
      return { name: field.name, title: fieldTitle(place, field), text, alone };
    });
}

/**
 * A form in one line, for lists and answers.
 * @param {import("./schema.js").Form} form
 * @param {Record<string, any>} value
 * @param {string} zone
 */
export function brief(form, value, zone) {
  return rows(form.name, form.fields, value, zone)
    .filter(({ name }) => name !== "at")
    .map(({ title, text, alone }) => (alone ? text : text === texts.yes ? lower(title) : `${lower(title)}: ${text}`))
    .join(", ");
}

/** In the middle of a sentence; an abbreviation stays as it is. @param {string} title */
function lower(title) {
  return /^.[A-Z]/.test(title) ? title : title.charAt(0).toLowerCase() + title.slice(1);
}

/**
 * Between which limits a number is taken, in words; "" where there are none.
 * @param {Field} field
 */
export function limits(field) {
  const p = texts.problems;
  return [
    field.min === undefined ? "" : p.from(field.min),
    field.above === undefined ? "" : p.above(field.above),
    field.max === undefined ? "" : p.to(field.max),
    field.below === undefined ? "" : p.below(field.below),
  ]
    .filter(Boolean)
    .join(" ");
}

/**
 * What is wrong with what was typed.
 * @param {import("./values.js").Problem} problem
 */
export function wrong({ field, what }) {
  const p = texts.problems;
  switch (what) {
    case "range":
      return p.range(limits(field));
    case "length":
      return p.length(field.maxLength ?? 0);
    case "items":
      return p.items(field.minItems ?? 0, field.maxItems ?? 0);
    case "pattern":
      return field.pattern?.startsWith("^[A-Za-z") ? p.label : field.pattern?.startsWith("^[0-9.]") ? p.uid : p.pattern;
    default:
      return p[what];
  }
}
