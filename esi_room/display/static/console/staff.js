// @ts-check
/**
 * Who acts: chosen once, remembered until the browser is closed, said with every request. Where the display server
 * knows who has logged in, it is that name, and nobody chooses.
 */
import { console as texts } from "../texts.js";
import { h, show } from "./dom.js";

const LIST = "esi-room-staff";
const WHO = "esi-room-actor";
/** Of a name, as the room takes it. */
const MOST_CHARACTERS = 128;

/** @param {string} key @returns {any} what was remembered; null where nothing was, or the browser keeps nothing */
function remembered(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} key @param {any} value */
function remember(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // then it is asked for again at the next opening of the page
  }
}

/** `change`: somebody else acts. */
export class Staff extends EventTarget {
  /** @type {string | null} */
  actor = null;
  /** @type {string[]} */
  names = [];
  /** @type {(() => void) | null} */
  #then = null;

  /** @param {string | null | undefined} login  the name that the display server knows */
  constructor(login) {
    super();
    this.fixed = Boolean(login);
    const names = remembered(LIST);
    this.names = Array.isArray(names) ? names.filter((name) => typeof name === "string" && name) : [];
    const actor = remembered(WHO);
    this.actor = login || (this.names.includes(actor) ? actor : null);
    this.dialog = h("dialog", { class: "staff", "aria-labelledby": "staff-title" });
    this.dialog.addEventListener("close", () => (this.#then = null));
    document.body.append(this.dialog);
  }

  /** Choose, and then go on with `then`. @param {() => void} [then] */
  ask(then) {
    this.#draw();
    this.dialog.showModal();
    this.#then = then ?? null;
  }

  /** @param {string} name */
  #act(name) {
    const typed = name.trim().slice(0, MOST_CHARACTERS);
    if (!typed) return;
    if (!this.names.includes(typed)) this.names.push(typed);
    this.actor = typed;
    remember(LIST, this.names);
    remember(WHO, typed);
    const then = this.#then;
    this.dialog.close();
    this.dispatchEvent(new Event("change"));
    then?.();
  }

  /** @param {string} name */
  #forget(name) {
    this.names = this.names.filter((each) => each !== name);
    if (this.actor === name) this.actor = null;
    remember(LIST, this.names);
    remember(WHO, this.actor);
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  #draw() {
    const input = h("input", { id: "staff-name", type: "text", autocomplete: "off", maxlength: MOST_CHARACTERS });
    const form = h("form", { onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); this.#act(input.value); } },
      h("label", { class: "title", for: "staff-name" }, texts.staff.add),
      h("div", { class: "entry" }, input, h("button", { class: "do" }, texts.staff.take)));
    show(this.dialog,
      h("h2", { id: "staff-title" }, texts.staff.title),
      h("p", { class: "soft" }, texts.staff.why),
      h("ul", { class: "people" }, ...this.names.map((name) => this.#person(name))),
      form,
      this.actor ? h("button", { type: "button", class: "quiet", onclick: () => this.dialog.close() }, texts.sheet.cancel) : null);
  }

  /** @param {string} name */
  #person(name) {
    return h("li", {},
      h("button", { type: "button", class: "tile", "aria-pressed": String(name === this.actor), onclick: () => this.#act(name) }, name),
      h("button", { type: "button", class: "quiet", "aria-label": texts.staff.forget(name), onclick: () => this.#forget(name) }, "×"));
  }
}
