// @ts-check
/**
 * Last image hold: the picture of `image/last`, and what `state/carm` says of the object that it was made from.
 *
 * Rules:
 * - Picture and caption are of one object. They come as two messages, so they are drawn when both are there, or a moment
 *   after the first; where the object that was taken last is not the one that is shown, that is said.
 * - An emptied picture goes at once: it was the last patient's.
 * - A picture that cannot be decoded is not shown, and not half of it.
 */
import { fillList, find, make, mark, say, show } from "../dom.js";
import { ageOf, number, words } from "../format.js";
import { common, wall } from "../texts.js";

/** Between a picture and its description there are at most 0.1 s: the room's shortest interval of a state. */
const TOGETHER_MS = 150;

export class LastImage {
  /** What is known of the objects of this case, by SHA-256; the strip keeps it. @type {(sha256: string) => any} */
  #lookUp;
  #drawing = false;
  /** What has changed since it was drawn. @type {Set<string>} */
  #changed = new Set();
  /** @type {any} What is drawn now. */
  #drawn = null;
  /** The object of the picture that is drawn, by SHA-256. @type {string | null} */
  #sha256 = null;

  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times @param {(sha256: string) => any} lookUp */
  constructor(room, times, lookUp) {
    this.room = room;
    this.times = times;
    this.#lookUp = lookUp;
    this.canvas = /** @type {HTMLCanvasElement} */ (find("picture"));
    this.note = find("picture-note");
    this.caption = find("caption");
    say(find("image-name"), wall.image.name);
    room.addEventListener("image", () => this.#change("picture"));
    room.addEventListener("state", (event) => {
      const { topic, payload } = /** @type {CustomEvent} */ (event).detail;
      if (topic === "state/carm" && payload?.shown_sha256 !== this.#sha256) this.#change("description");
    });
  }

  /** @param {string} what */
  #change(what) {
    if (this.#changed.size === 0) setTimeout(() => this.#draw(), TOGETHER_MS);
    this.#changed.add(what);
    if (this.#changed.size === 2 || this.room.image === null) this.#draw();
  }

  async #draw() {
    if (this.#drawing || this.#changed.size === 0) return;
    this.#drawing = true;
    this.#changed.clear();
    const image = this.room.image;
    const sha256 = this.room.state("state/carm")?.payload.shown_sha256 ?? null;
    let bitmap = null;
    try {
      if (image?.blob) bitmap = await createImageBitmap(image.blob);
    } catch {
      // not one that can be decoded: said in render
    }
    if (image === this.room.image) this.#put(image, bitmap, sha256);
    else this.#changed.add("picture");
    bitmap?.close();
    this.#drawing = false;
    this.render();
    this.#draw();
  }

  /** @param {any} image @param {ImageBitmap | null} bitmap @param {string | null} sha256 */
  #put(image, bitmap, sha256) {
    this.#drawn = { image, broken: image !== null && bitmap === null };
    this.#sha256 = sha256;
    this.canvas.width = bitmap?.width ?? 1;
    this.canvas.height = bitmap?.height ?? 1;
    if (bitmap) this.canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  }

  render() {
    const carm = this.room.state("state/carm")?.payload;
    const problem = this.room.problem("state/carm");
    const drawn = this.#drawn;
    const pictured = drawn?.image && !drawn.broken;
    show(this.canvas, Boolean(pictured));
    const object = pictured ? this.#shown(carm) : null;
    const texts = wall.image;
    const taken = object?.observed_at;
    say(this.note, this.#note(carm, problem, drawn));
    mark(find("image"), "data-empty", pictured || carm?.image ? "no" : "yes");
    mark(this.canvas, "aria-label", texts.label(viewName(object), this.times.second(taken)));
    const items = object ? this.#items(object, carm) : [];
    fillList(this.caption, items, makeItem, (/** @type {any} */ node, item) => {
      mark(node, "data-item", item.id);
      say(node.firstChild, item.name);
      say(node.children[1], item.text);
      say(node.children[2], item.more);
      mark(node, "title", item.title ?? null);
    });
  }

  /** What is known of the object that is drawn. @param {any} carm */
  #shown(carm) {
    if (this.#sha256 === null) return null;
    return carm?.image?.sha256 === this.#sha256 ? carm.image : (this.#lookUp(this.#sha256) ?? null);
  }

  /** @param {any} carm @param {string | null} problem @param {any} drawn */
  #note(carm, problem, drawn) {
    const texts = wall.image;
    if (drawn?.broken) return texts.damaged;
    if (problem !== null) return wall.unreadable(common.problems[/** @type {"no_json"} */ (problem)]);
    if (!drawn?.image && !carm?.image?.rows) return carm ? texts.none : wall.waiting;
    if (!carm?.image?.rows || carm.image.sha256 === carm.shown_sha256) return "";
    const time = this.times.second(carm.image.observed_at);
    return carm.preview_problem ? texts.problem(time, carm.preview_problem) : texts.newer(time);
  }

  /** @param {any} image @param {any} carm */
  #items(image, carm) {
    const texts = wall.image;
    const dose = this.room.state("state/dose")?.payload;
    const beam = [[image.kvp, "kV"], [image.tube_current_ma, "mA"]].filter(([value]) => value !== null && value !== undefined);
    const count = dose?.images ?? carm?.objects ?? 0;
    return [
      { id: "taken", name: texts.taken, text: this.times.second(image.observed_at), more: wall.ago(ageOf(this.room, image.observed_at)), title: this.times.utc(image.observed_at) },
      { id: "view", name: texts.view, text: viewName(image), more: angles(image) },
      { id: "frames", name: texts.frames, text: texts.frameCount(image.frames ?? 1), more: beam.map(([value, unit]) => `${number(value, 1)} ${unit}`).join(" \u00b7 ") },
      { id: "count", name: texts.count, text: texts.images(count), more: dose && dose.frames > count ? texts.frameCount(dose.frames) : "" },
    ];
  }
}

function makeItem() {
  return make("div", "item", make("dt"), make("dd", "main"), make("dd", "beside"));
}

/** How close to it an angle is called AP or lateral, in degrees. */
const TOLERANCE_DEG = 15;

/** AP, lateral or oblique, from the angle round the patient's long axis. @param {any} image */
export function viewName(image) {
  const views = wall.image.views;
  const angle = image?.primary_angle_deg;
  if (angle === null || angle === undefined) return views.unknown;
  const turned = Math.abs(angle) % 180;
  if (turned <= TOLERANCE_DEG || turned >= 180 - TOLERANCE_DEG) return views.ap;
  return Math.abs(turned - 90) <= TOLERANCE_DEG ? views.lateral : views.oblique;
}

/** `LAO 30\u00b0 CRA 8\u00b0`: DICOM counts to the patient's left and head as positive. @param {any} image */
function angles(image) {
  const { primary, secondary } = wall.image.sides;
  const one = (/** @type {number | null} */ angle, /** @type {string[]} */ [plus, minus]) =>
    angle === null || angle === undefined ? "" : `${angle < 0 ? minus : plus} ${number(Math.abs(angle))}\u00b0`;
  return [one(image.primary_angle_deg, primary), one(image.secondary_angle_deg, secondary)].filter(Boolean).join("  ");
}
