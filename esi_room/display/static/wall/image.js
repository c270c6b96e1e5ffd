// @ts-check
/**
 * Last image hold: the picture of `image/last`, and what `state/carm` says of the object that it was made from.
 *
 * Rules:
 * - Picture and caption are of one object. They come as two messages, so both are drawn together a moment after the
 *   first; where the object that was taken last is not the one that is shown, that is said.
 * - A picture that cannot be decoded is not shown, and not half of it.
 */
import { fillList, find, make, mark, say, show } from "../dom.js";
import { age, number, words } from "../format.js";
import { common, wall } from "../texts.js";

/** Between a picture and its description there are at most 0.1 s: the room's shortest interval of a state. */
const TOGETHER_MS = 130;

export class LastImage {
  /** What is known of the objects of this case, by SHA-256; the strip keeps it. @type {(sha256: string) => any} */
  #lookUp;
  #drawing = false;
  /** @type {any} What is drawn now. */
  #drawn = null;
  /** @type {any} The object of the picture that is drawn. */
  #object = null;

  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times @param {(sha256: string) => any} lookUp */
  constructor(room, times, lookUp) {
    this.room = room;
    this.times = times;
    this.#lookUp = lookUp;
    this.canvas = /** @type {HTMLCanvasElement} */ (find("picture"));
    this.note = find("picture-note");
    this.caption = find("caption");
    say(find("image-name"), wall.image.name);
    room.addEventListener("image", () => this.#soon());
  }

  #soon() {
    if (this.#drawing) return;
    this.#drawing = true;
    setTimeout(() => this.#draw(), TOGETHER_MS);
  }

  async #draw() {
    const image = this.room.image;
    let bitmap = null;
    try {
      if (image?.blob) bitmap = await createImageBitmap(image.blob);
    } catch {
      // not one that can be decoded: said in render
    }
    this.#drawing = false;
    if (image !== this.room.image) return this.#soon();
    this.#drawn = { image, broken: image !== null && bitmap === null };
    if (bitmap === null) this.canvas.width = this.canvas.height = 1;
    else {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
      this.canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
      bitmap.close();
    }
    this.render();
  }

  render() {
    const carm = this.room.state("state/carm")?.payload;
    const problem = this.room.problem("state/carm");
    const drawn = this.#drawn;
    const pictured = drawn?.image && !drawn.broken;
    show(this.canvas, Boolean(pictured));
    this.#object = pictured ? this.#shown(carm) : null;
    const texts = wall.image;
    const taken = this.#object?.observed_at;
    say(this.note, this.#note(carm, problem, drawn));
    mark(find("image"), "data-empty", pictured || carm?.image ? "no" : "yes");
    mark(this.canvas, "aria-label", texts.label(viewName(this.#object), this.times.second(taken)));
    const items = this.#object ? this.#items(this.#object, carm) : [];
    fillList(this.caption, items, makeItem, (/** @type {any} */ node, item) => {
      mark(node, "data-item", item.id);
      say(node.firstChild, item.name);
      say(node.children[1], item.text);
      say(node.children[2], item.more);
      mark(node, "title", item.title ?? null);
    });
  }

  /** @param {any} carm */
  #shown(carm) {
    if (!carm?.shown_sha256) return null;
    if (carm.image?.sha256 === carm.shown_sha256) return carm.image;
    return this.#lookUp(carm.shown_sha256) ?? null;
  }

  /** @param {any} carm @param {string | null} problem @param {any} drawn */
  #note(carm, problem, drawn) {
    const texts = wall.image;
    if (drawn?.broken) return texts.damaged;
    if (problem !== null) return wall.unreadable(common.problems[/** @type {"no_json"} */ (problem)]);
    if (!drawn?.image) return texts.none;
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
      { id: "taken", name: texts.taken, text: this.times.second(image.observed_at), more: wall.ago(age(this.room.clock.age(image.observed_at))), title: this.times.utc(image.observed_at) },
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
