// @ts-check
/**
 * A control for each kind of field, for fingers in gloves and for the keyboard.
 *
 * Rules:
 * - Native inputs under large labels: what the browser gives (arrow keys, names for screen readers) is kept.
 * - A control keeps what was typed until it is taken away; nothing redraws it.
 * - What is wrong with it is said beside it, in words, when the form is looked over.
 */
import { console as texts } from "../texts.js";
import { h } from "./dom.js";
import { fieldTitle, hintOf, inOrder, regionOf, unitOf, word } from "./words.js";
import { group, list } from "./groups.js";

/**
 * @typedef {import("./schema.js").Field} Field
 * @typedef {object} Control
 * @property {HTMLElement} element
 * @property {() => any} draft
 * @property {(wrong: Map<string, string>, path: string) => void} mark  say what is wrong with it
 * @property {() => void} focus
 */

/** More options than this do not fit beside each other: a list to open. */
const MANY = 14;
/** A scale of whole numbers up to so many steps is shown whole, to be touched. */
const SCALE = 10;
/** By how much + and - change a value, by unit. */
const STEPS = /** @type {Record<string, number>} */ ({ mL: 0.5 });

let count = 0;

/** @returns {string} an id that no other element has */
export function fresh() {
  count += 1;
  return `c${count}`;
}

/**
 * @param {string} place  the form or group that it stands in
 * @param {Field} field
 * @param {any} draft
 * @returns {Control}
 */
export function control(place, field, draft) {
  switch (field.kind) {
    case "choice":
      return (field.options ?? []).length > MANY ? select(place, field, draft) : picks(place, field, draft, field.options ?? [], word);
    case "yes_no":
      return picks(place, field, draft, [true, false], (value) => (value ? texts.yes : texts.no));
    case "choices":
      return checks(place, field, draft);
    case "number":
    case "whole":
      return number(place, field, draft);
    case "list":
      return list(place, field, draft);
    case "group":
      return group(place, field, draft);
    default:
      return typed(place, field, draft);
  }
}

/**
 * The title of a field, and whether it must be said.
 * @param {string} place
 * @param {Field} field
 */
export function titleOf(place, field) {
  return [fieldTitle(place, field), mayBeLeftOut(field) ? h("span", { class: "optional" }, ` ${texts.if_known}`) : null];
}

/** Whether nothing need be said: not so where something else counts then. @param {Field} field */
function mayBeLeftOut(field) {
  return !field.required && (field.nullable || field.initial === undefined || (Array.isArray(field.initial) && !field.initial.length));
}

/**
 * What every control has around it. `wrong` says what is wrong, and is read out with the control.
 * @param {string} place
 * @param {Field} field
 * @param {boolean} many  several inputs under one title
 */
function frame(place, field, many) {
  const id = fresh();
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
  const hint = hintOf(place, field);
  const parts = [hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null, wrong];
  const about = [hint ? `${id}-hint` : "", `${id}-wrong`].filter(Boolean).join(" ");
  const element = many
    ? h("fieldset", { class: "field", "data-field": field.name, "aria-describedby": about }, h("legend", {}, titleOf(place, field)))
    : h("div", { class: "field", "data-field": field.name }, h("label", { for: id, class: "title" }, titleOf(place, field)));
  const mark = (/** @type {string | undefined} */ text) => {
    wrong.hidden = !text;
    wrong.textContent = text ?? "";
    element.classList.toggle("is-wrong", Boolean(text));
    element.querySelectorAll("input, select, textarea").forEach((each) => {
      if (text) each.setAttribute("aria-invalid", "true");
      else each.removeAttribute("aria-invalid");
    });
  };
  return { id, element, parts, about, mark };
}

/**
 * One of a few, each a button.
 * @param {string} place
 * @param {Field} field
 * @param {any} draft
 * @param {any[]} options
 * @param {(value: any) => string} words
 * @returns {Control}
 */
function picks(place, field, draft, options, words) {
  const { id, element, parts, mark } = frame(place, field, true);
  const ordered = field.kind === "choice" ? inOrder(options) : options;
  const inputs = [...ordered, ...(mayBeLeftOut(field) ? [null] : [])].map((option) => {
    const input = h("input", { type: "radio", name: id, value: JSON.stringify(option), checked: option === draft });
    const text = option === null ? texts.not_said : words(option);
    return h("label", { class: option === null ? "pick nothing" : "pick" }, input, h("span", {}, text));
  });
  element.append(h("div", { class: "picks" }, ...inputs), ...parts.filter((part) => part !== null));
  return {
    element,
    draft: () => JSON.parse(chosen(element, id)?.value ?? "null"),
    mark: (wrong, path) => mark(wrong.get(path)),
    focus: () => /** @type {HTMLElement | null} */ (chosen(element, id) ?? element.querySelector("input"))?.focus(),
  };
}

/** @param {HTMLElement} element @param {string} name @returns {HTMLInputElement | null} */
function chosen(element, name) {
  return element.querySelector(`input[name="${name}"]:checked`);
}

/**
 * Any of a few, each a button.
 * @param {string} place
 * @param {Field} field
 * @param {any[]} draft
 * @returns {Control}
 */
function checks(place, field, draft) {
  const { element, parts, mark } = frame(place, field, true);
  const boxes = inOrder(field.options ?? []).map((option) => {
    const input = h("input", { type: "checkbox", value: option, checked: draft.includes(option) });
    return { option, input, label: h("label", { class: "pick" }, input, h("span", {}, word(option))) };
  });
  const many = boxes.length > MANY;
  element.classList.toggle("many", many);
  element.append(h("div", { class: many ? "picks small" : "picks" }, ...boxes.flatMap(({ option, label }, n) =>
    many && n > 0 && regionOf(option) !== regionOf(boxes[n - 1].option) ? [h("span", { class: "break" }), label] : [label])), ...parts.filter((part) => part !== null));
  return {
    element,
    draft: () => (field.options ?? []).filter((option) => boxes.find((box) => box.option === option)?.input.checked),
    mark: (wrong, path) => mark(wrong.get(path)),
    focus: () => boxes[0]?.input.focus(),
  };
}

/**
 * One of many.
 * @param {string} place
 * @param {Field} field
 * @param {any} draft
 * @returns {Control}
 */
function select(place, field, draft) {
  const { id, element, parts, about, mark } = frame(place, field, false);
  const options = inOrder(field.options ?? []).map((option) =>
    h("option", { value: option, selected: option === draft }, word(option)),
  );
  const nothing = h("option", { value: "", selected: draft === null }, texts.not_said);
  const input = h("select", { id, "aria-describedby": about, "aria-required": field.required }, nothing, ...options);
  element.append(input, ...parts.filter((part) => part !== null));
  return {
    element,
    draft: () => (input.value === "" ? null : input.value),
    mark: (wrong, path) => mark(wrong.get(path)),
    focus: () => input.focus(),
  };
}

/**
 * A number and its unit; small steps to touch, or the whole scale where it is short.
 * @param {string} place
 * @param {Field} field
 * @param {string} draft
 * @returns {Control}
 */
function number(place, field, draft) {
  const { id, element, parts, about, mark } = frame(place, field, false);
  const unit = unitOf(field);
  const input = h("input", {
    id, type: "text", inputmode: field.kind === "whole" ? "numeric" : "decimal", autocomplete: "off",
    value: draft, "aria-describedby": unit ? `${about} ${id}-unit` : about, "aria-required": field.required,
  });
  const step = (/** @type {number} */ direction) => {
    input.value = stepped(field, input.value, direction);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  input.addEventListener("keydown", (event) => {
    const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (direction) {
      event.preventDefault();
      step(direction);
    }
  });
  const title = fieldTitle(place, field);
  const button = (/** @type {number} */ direction, /** @type {string} */ sign, /** @type {string} */ name) =>
    h("button", { type: "button", class: "step", tabindex: -1, "aria-label": `${title}: ${name}`, onclick: () => step(direction) }, sign);
  const entry = h("div", { class: "entry" }, button(-1, "−", texts.less), input,
    unit ? h("span", { class: "unit", id: `${id}-unit` }, unit) : null, button(1, "+", texts.more));
  element.append(entry, ...(isScale(field) ? [scale(field, input, title)] : []), ...parts.filter((part) => part !== null));
  return {
    element,
    draft: () => input.value,
    mark: (wrong, path) => mark(wrong.get(path)),
    focus: () => input.focus(),
  };
}

/** @param {Field} field */
function isScale(field) {
  return field.min !== undefined && field.max !== undefined && field.max - field.min <= SCALE;
}

/**
 * @param {Field} field
 * @param {HTMLInputElement} input
 * @param {string} title
 */
function scale(field, input, title) {
  const values = Array.from({ length: (field.max ?? 0) - (field.min ?? 0) + 1 }, (_, n) => String(n + (field.min ?? 0)));
  const buttons = values.map((value) =>
    h("button", { type: "button", class: "mark", tabindex: -1, "aria-label": `${title}: ${value}`, onclick: () => touch(value) }, value),
  );
  const follow = () => buttons.forEach((button, n) => button.setAttribute("aria-pressed", String(values[n] === input.value.trim())));
  const touch = (/** @type {string} */ value) => {
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  input.addEventListener("input", follow);
  follow();
  return h("div", { class: "scale" }, ...buttons);
}

/**
 * @param {Field} field
 * @param {string} typed
 * @param {number} direction
 */
function stepped(field, typed, direction) {
  const step = STEPS[field.unit ?? ""] ?? 1;
  const least = field.min ?? (field.above === undefined ? -Infinity : field.above + step);
  const now = Number(typed.replace(",", "."));
  if (typed.trim() === "" || Number.isNaN(now)) return String(Number.isFinite(least) ? least : 0);
  const next = Math.round((now + direction * step) * 1000) / 1000;
  return String(Math.min(Math.max(next, least), field.max ?? Infinity));
}

const INPUTS = /** @type {Record<string, string>} */ ({ date: "date", moment: "datetime-local", local: "datetime-local" });
/** From so many characters on a text is one of several lines. */
const LONG = 1000;

/**
 * What is typed: a text, a day, a moment of the room's clock.
 * @param {string} place
 * @param {Field} field
 * @param {string} draft
 * @returns {Control}
 */
function typed(place, field, draft) {
  const { id, element, parts, about, mark } = frame(place, field, false);
  const properties = { id, autocomplete: "off", "aria-describedby": about, "aria-required": field.required, value: draft };
  const long = field.kind === "object" || (field.maxLength ?? 0) >= LONG || field.name === "dataset";
  const type = INPUTS[field.kind] ?? "text";
  const input = long
    ? h("textarea", { ...properties, rows: 3 })
    : h("input", { ...properties, type, step: type === "datetime-local" ? "any" : null, spellcheck: "false" });
  element.append(input, ...parts.filter((part) => part !== null));
  return {
    element,
    draft: () => input.value,
    mark: (wrong, path) => mark(wrong.get(path)),
    focus: () => input.focus(),
  };
}
