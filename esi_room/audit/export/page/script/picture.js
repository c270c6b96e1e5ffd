// @ts-check
/**
 * The frame that was on, as a picture.
 *
 * Rules:
 * - Picture and caption change together: no caption stands over the picture before it. While one is fetched the picture
 *   before it fades, and where there was none it says that one is being fetched: never that there is none.
 * - One picture is fetched at a time, and then the newest that is wanted: a run played fast costs what can be shown.
 * - Where the file holds not every frame of a run, the last one before is shown, and said to be that.
 */

import { make } from "./dom.js";
import { TEXTS, span } from "./words.js";

export class Picture {
  /** @param {any} data @param {import("./words.js").Moments} moments */
  constructor(data, moments) {
    this.data = data;
    this.moments = moments;
    this.image = /** @type {HTMLImageElement} */ (make("img", { alt: "", draggable: "false" }));
    this.absent = make("div", { class: "absent" });
    this.caption = make("figcaption");
    this.element = make(
      "figure",
      { class: "frame" },
      make("div", { class: "screen" }, this.image, this.absent),
      this.caption,
    );
    this.busy = false;
    /** @type {any} */
    this.wanted = null;
    this.shown = "";
    /** No image had been taken by then. */
    this.missing = false;
  }

  /** @param {{image: number, frame: number | null, t: number} | null} frame @param {number} t */
  show(frame, t) {
    this.missing = frame === null;
    if (frame === null) {
      this.wanted = null;
      this.#absent(TEXTS.noImage, [], "");
      return;
    }
    const source = this.#source(frame);
    if (source.key === this.shown && this.wanted === null) {
      this.#caption(frame, source, t);
      return;
    }
    this.wanted = { frame, source, t };
    if (!this.busy) this.#fetch();
  }

  /** Where the picture of a frame is: of that frame, or of which one instead.
   * @param {{image: number, frame: number | null}} frame */
  #source(frame) {
    const image = this.data.images[frame.image];
    const number = frame.frame ?? image.frames;
    if (image.reason !== undefined) return { url: null, number, key: `${frame.image}` };
    if (this.data.pictures.url !== undefined) {
      const url = this.data.pictures.url.replace("{sha256}", image.sha256).replace("{frame}", String(number));
      return { url, number, key: `${frame.image} ${number}` };
    }
    const kept = this.data.pictures.kept[frame.image];
    const before = kept.filter((/** @type {any} */ each) => each[0] <= number).at(-1) ?? kept[0];
    if (before === undefined) return { url: null, number, key: `${frame.image}` };
    return { url: before[1], number: before[0], key: `${frame.image} ${before[0]}` };
  }

  async #fetch() {
    this.busy = true;
    this.element.setAttribute("aria-busy", "true");
    if (this.image.hidden || this.shown === "") this.#absent(TEXTS.loading, [], "");
    while (this.wanted !== null) {
      const { frame, source, t } = this.wanted;
      const image = this.data.images[frame.image];
      const next = /** @type {HTMLImageElement} */ (make("img", { alt: "", draggable: "false" }));
      next.src = source.url ?? "";
      const there =
        source.url !== null &&
        (await next.decode().then(
          () => true,
          () => false,
        ));
      if (this.wanted === null) break;
      if (this.wanted.source.key === source.key) this.wanted = null;
      this.shown = source.key;
      if (there) this.#put(next, frame, source, t);
      else this.#absent(image.reason ?? TEXTS.cannotShow, this.#words(frame, source, t), source.key);
    }
    if (this.missing) this.#absent(TEXTS.noImage, [], "");
    this.busy = false;
    this.element.removeAttribute("aria-busy");
  }

  /** The very element that was fetched: another one of that address would be fetched again, and show the old one as long.
   * @param {HTMLImageElement} next @param {any} frame @param {any} source @param {number} t */
  #put(next, frame, source, t) {
    this.image.replaceWith(next);
    this.image = next;
    this.absent.hidden = true;
    this.#caption(frame, source, t);
  }

  /** @param {string} why @param {(Node | string)[]} caption @param {string} key */
  #absent(why, caption, key) {
    this.image.hidden = true;
    this.absent.hidden = false;
    this.absent.textContent = why;
    this.caption.replaceChildren(...caption);
    this.shown = key;
  }

  /** @param {any} frame @param {any} source @param {number} t */
  #caption(frame, source, t) {
    const words = this.#words(frame, source, t);
    this.caption.replaceChildren(...words);
    this.image.alt = this.caption.textContent ?? "";
  }

  /** @param {any} frame @param {any} source @param {number} t */
  #words(frame, source, t) {
    const image = this.data.images[frame.image];
    const parts = [TEXTS.imageOf(image.number, this.data.images.length)];
    if (image.frames > 1)
      parts.push(frame.frame === null ? TEXTS.framesUntold(image.frames) : TEXTS.frameOf(frame.frame, image.frames));
    if (image.angles !== undefined) parts.push(`${image.angles[0]}° / ${image.angles[1]}°`);
    if (image.late) parts.push(TEXTS.late);
    const time = make(
      "time",
      { title: this.moments.utc(frame.t) },
      this.moments.tenths.format(this.moments.origin + frame.t),
    );
    const words = [parts.join(", "), make("br"), time, `, ${TEXTS.ago(span(t - frame.t))}`];
    if (source.url !== null && frame.frame !== null && source.number !== frame.frame)
      words.push(make("br"), TEXTS.shownInstead(source.number));
    return words;
  }
}
