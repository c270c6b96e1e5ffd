// @ts-check
/** Above the drawing: play and pause, how fast, from image to image, the phases, and the cursor as a slider. */

import { button, make } from "./dom.js";
import { TEXTS } from "./words.js";

export const SPEEDS = [1, 2, 5, 10, 30, 60];
const SECOND = 1000;
/** By key: how far it moves, in milliseconds. @type {Record<string, number>} */
const KEYS = {
  ArrowLeft: -SECOND,
  ArrowDown: -SECOND,
  ArrowRight: SECOND,
  ArrowUp: SECOND,
  PageDown: -60 * SECOND,
  PageUp: 60 * SECOND,
};
const WITH_SHIFT = 10;

export class Controls {
  /** @param {import("./known.js").Known} known @param {import("./words.js").Moments} moments
   * @param {{goTo: (t: number) => void, by: (ms: number) => void, image: (step: number) => void, play: () => void}} told */
  constructor(known, moments, told) {
    this.known = known;
    this.moments = moments;
    this.told = told;
    this.play = button(TEXTS.play, "▶", told.play);
    this.play.classList.add("play");
    const options = SPEEDS.map((each) => make("option", { value: String(each) }, TEXTS.times(each)));
    this.speeds = /** @type {HTMLSelectElement} */ (
      make("select", { "aria-label": TEXTS.speed, title: TEXTS.speed }, ...options)
    );
    this.speeds.value = "10";
    this.phases = known.data.phases.map((/** @type {any} */ phase) => this.#phase(phase));
    const jumps = make("span", { class: "phases", role: "group", "aria-label": TEXTS.phases }, ...this.phases);
    const before = button(TEXTS.imageBefore, "◂", () => told.image(-1));
    const after = button(TEXTS.imageAfter, "▸", () => told.image(1));
    const images = make("span", { class: "images" }, before, TEXTS.image, after);
    this.slider = this.#slider();
    this.element = make("div", { class: "controls" }, this.play, this.speeds, images, jumps);
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  get speed() {
    return Number(this.speeds.value);
  }

  /** @param {any} phase */
  #phase(phase) {
    const time = this.moments.seconds.format(this.moments.origin + phase.t);
    const made = button(`${phase.phase}, ${time}`, phase.phase, () => this.told.goTo(phase.t));
    made.title = `${time}, ${this.moments.utc(phase.t)}`;
    return made;
  }

  #slider() {
    const range = {
      type: "range",
      min: "0",
      max: String(this.known.end),
      step: "1",
      value: "0",
      "aria-label": TEXTS.cursor,
    };
    const made = /** @type {HTMLInputElement} */ (make("input", range));
    made.addEventListener("input", () => this.told.goTo(Number(made.value)));
    return made;
  }

  /** @param {number} t @param {boolean} playing */
  show(t, playing) {
    const phase = this.known.at(t).phase;
    this.slider.value = String(t);
    const clock = this.moments.seconds.format(this.moments.origin + t);
    this.slider.setAttribute("aria-valuetext", `${clock}, ${phase === null ? TEXTS.noPhase : phase.phase}`);
    const label = playing ? TEXTS.pause : TEXTS.play;
    if (this.play.title === label) return this.#mark(phase);
    this.play.textContent = playing ? "❚❚" : "▶";
    this.play.title = label;
    this.play.setAttribute("aria-label", label);
    return this.#mark(phase);
  }

  /** @param {any} phase */
  #mark(phase) {
    const now = this.known.data.phases.indexOf(phase);
    this.phases.forEach((/** @type {HTMLElement} */ each, /** @type {number} */ n) => {
      if (n === now) each.setAttribute("aria-current", "step");
      else each.removeAttribute("aria-current");
    });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const on = /** @type {HTMLElement} */ (event.target);
    const free = on === document.body || on === this.slider;
    if (!free || event.ctrlKey || event.altKey || event.metaKey) return;
    const onAxis = on === this.slider || event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (event.key === " ") this.told.play();
    else if (on === this.slider && event.key === "Home") this.told.goTo(0);
    else if (on === this.slider && event.key === "End") this.told.goTo(this.known.end);
    else if (onAxis && event.key in KEYS) this.told.by(KEYS[event.key] * (event.shiftKey ? WITH_SHIFT : 1));
    else return;
    event.preventDefault();
  }
}
