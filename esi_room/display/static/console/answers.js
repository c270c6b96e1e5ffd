// @ts-check
/**
 * What became of what was sent, at the foot of the page and read out: the room's own words, and what it has not
 * answered yet. The last few stay to be looked up.
 */
import { console as texts } from "../texts.js";
import { h, show } from "./dom.js";

const KEPT = 3;

/** @typedef {{what: string, kind: "recorded" | "refused" | "waiting" | "stopped", text: string, stop?: () => void}} Answer */

export class Answers {
  /** @type {Answer[]} */
  #answers = [];
  #list = h("ol", { role: "log", "aria-live": "polite", "aria-label": texts.answers.title });

  /** @param {HTMLElement} region */
  constructor(region) {
    region.append(this.#list);
    this.#draw();
  }

  /** @param {string} what @param {number} seq @param {string} time */
  recorded(what, seq, time) {
    this.#add({ what, kind: "recorded", text: texts.answers.recorded(what, seq, time) });
  }

  /** @param {string} what @param {string[]} problems */
  refused(what, problems) {
    this.#add({ what, kind: "refused", text: texts.answers.refused(what, problems.join(" ")) });
  }

  /**
   * It is asked again and again; the answer takes its place.
   * @param {string} what
   * @param {() => void} stop
   * @returns {() => void} take it away
   */
  waiting(what, stop) {
    /** @type {Answer} */
    const answer = { what, kind: "waiting", text: texts.answers.waiting(what), stop };
    this.#add(answer);
    return () => {
      this.#answers = this.#answers.filter((each) => each !== answer);
      this.#draw();
    };
  }

  /** @param {string} what */
  stopped(what) {
    this.#add({ what, kind: "stopped", text: texts.answers.stopped(what) });
  }

  /** @param {Answer} answer */
  #add(answer) {
    const waiting = this.#answers.filter((each) => each.kind === "waiting");
    const others = this.#answers.filter((each) => each.kind !== "waiting").slice(0, KEPT - 1);
    this.#answers = [answer, ...waiting, ...others];
    this.#draw();
  }

  #draw() {
    const marks = { recorded: "✓", refused: "✕", waiting: "…", stopped: "?" };
    show(this.#list, ...this.#answers.map(({ kind, text, stop }) =>
      h("li", { class: kind }, h("span", { "aria-hidden": "true", class: "sign" }, marks[kind]), h("span", {}, text),
        stop ? h("button", { type: "button", class: "quiet", onclick: stop }, texts.answers.stop) : null)));
  }
}
