// @ts-check
/**
 * A request that is not answered yet: what the confirmation says of it meanwhile, and where it goes when the staff have
 * something else to do. It is asked again by itself (requests.js) until it is answered or given up.
 */
import { console as texts } from "../texts.js";
import { h } from "./dom.js";

/** An answer takes some hundredths of a second; who waits this long wants to know. */
const PATIENCE_MS = 4000;

export class Pending {
  #over = false;
  /** @type {(() => void) | null} */
  #away = null;
  /** @type {ReturnType<typeof setTimeout>} */
  #patience;

  /**
   * @param {HTMLElement} dialog  of the confirmation
   * @param {string} what  is asked for, in words
   * @param {import("./answers.js").Answers} answers
   * @param {() => void} giveUp  nobody waits for it any more
   * @param {() => void} close  the confirmation
   */
  constructor(dialog, what, answers, giveUp, close) {
    this.what = what;
    this.answers = answers;
    this.giveUp = giveUp;
    const told = /** @type {HTMLElement} */ (dialog.querySelector(".told"));
    const buttons = /** @type {HTMLElement} */ (dialog.querySelector(".buttons"));
    buttons.replaceChildren();
    told.replaceChildren(h("p", {}, texts.sheet.sending));
    this.#patience = setTimeout(() => {
      told.replaceChildren(h("p", { class: "unanswered" }, texts.sheet.unanswered));
      buttons.replaceChildren(h("button", { type: "button", class: "plain", onclick: close }, texts.sheet.aside));
    }, PATIENCE_MS);
  }

  /** The confirmation is closed: from now on it waits among the answers; false where it waits no more. */
  aside() {
    if (!this.#over) this.#away ??= this.answers.waiting(this.what, this.giveUp);
    return !this.#over;
  }

  /** It is answered, or given up. */
  over() {
    this.#over = true;
    clearTimeout(this.#patience);
    this.#away?.();
  }
}
