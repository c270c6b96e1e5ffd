// @ts-check
/**
 * The cursor on the drawing: where it is, and how mouse and touch move it.
 *
 * Rules:
 * - The mouse over the axis looks at a moment, for as long as it is there; pressing (or a finger) takes the cursor along.
 * - An image, or a mark, takes the cursor to its own moment.
 * - A finger that moves up or down scrolls the page.
 * - It stands on a sheet of its own above the drawing, which a long record makes slow to draw.
 */

import { draw } from "./dom.js";

const OF_LABEL = { width: 66, height: 17, top: -1 };

export class Cursor {
  /** @param {SVGSVGElement} drawing @param {any} data @param {import("./words.js").Moments} moments
   * @param {{goTo: (t: number) => void, look: (t: number | null) => void}} told */
  constructor(drawing, data, moments, told) {
    this.drawing = drawing;
    this.axis = data.axis;
    this.origin = data.origin;
    this.end = Math.max(1, data.end);
    this.moments = moments;
    this.told = told;
    this.sheet = draw("svg", {
      class: "cursors",
      viewBox: drawing.getAttribute("viewBox") ?? "",
      "aria-hidden": "true",
    });
    drawing.after(this.sheet);
    this.line = this.#made("cursor");
    this.ghost = this.#made("ghost");
    this.ghost.group.setAttribute("visibility", "hidden");
    drawing.addEventListener("pointerdown", (event) => this.#down(event));
    drawing.addEventListener("pointermove", (event) => this.#move(event));
    drawing.addEventListener("pointerleave", () => this.look(null));
    drawing.addEventListener("click", (event) => this.#moment(event) !== null && event.preventDefault());
    // The slider and the buttons reach every moment: hundreds of marks need no stop of the Tab key each.
    for (const link of drawing.querySelectorAll("a")) link.setAttribute("tabindex", "-1");
  }

  /** @param {string} kind */
  #made(kind) {
    const height = this.drawing.viewBox.baseVal.height;
    const group = draw("g", { class: kind });
    const text = draw("text", { y: OF_LABEL.top + 12.5, "text-anchor": "middle" });
    const { width, height: high, top } = OF_LABEL;
    group.append(
      draw("line", { y1: top + high, y2: height }),
      draw("rect", { x: -width / 2, y: top, width, height: high, rx: 3 }),
      text,
    );
    this.sheet.append(group);
    return { group, text };
  }

  /** @param {number} t */
  place(t) {
    this.#put(this.line, t);
  }

  /** Where the mouse looks; null: nowhere. @param {number | null} t */
  look(t) {
    this.ghost.group.setAttribute("visibility", t === null ? "hidden" : "visible");
    if (t !== null) this.#put(this.ghost, t);
    this.told.look(t);
  }

  /** @param {{group: SVGElement, text: SVGElement}} what @param {number} t */
  #put(what, t) {
    const { left, right } = this.axis;
    const x = left + (t / this.end) * (right - left);
    what.group.setAttribute("transform", `translate(${x.toFixed(2)} 0)`);
    what.text.textContent = this.moments.seconds.format(this.origin + t);
  }

  /** The moment at a place of the screen; null: left of the axis. @param {MouseEvent} event @param {boolean} clamp */
  #at(event, clamp) {
    const box = this.drawing.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.axis.width;
    const { left, right } = this.axis;
    if (!clamp && x < left - 4) return null;
    return Math.min(this.end, Math.max(0, ((x - left) / (right - left)) * this.end));
  }

  /** Of an image or a mark. @param {Event} event */
  #moment(event) {
    const link = /** @type {Element} */ (event.target).closest("a[data-t]");
    return link === null ? null : Math.max(0, Number(link.getAttribute("data-t")) - this.origin);
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button !== 0) return;
    const t = this.#moment(event) ?? this.#at(event, false);
    if (t === null) return;
    if (this.#moment(event) === null) {
      this.drawing.setPointerCapture(event.pointerId);
      event.preventDefault(); // no text is selected
    }
    this.look(null);
    this.told.goTo(t);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const held = this.drawing.hasPointerCapture(event.pointerId);
    const t = this.#at(event, held);
    if (held && t !== null) this.told.goTo(t);
    else if (event.pointerType === "mouse") this.look(t);
  }
}
