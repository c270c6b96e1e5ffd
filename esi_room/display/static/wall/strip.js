// @ts-check
/**
 * The images of the case, the newest on top.
 *
 * Rules:
 * - As many as fit are kept, whatever the case holds: of the rest only their number.
 * - Each picture is asked for once, one at a time, and shown small. One that the room does not give stays a tile with
 *   its view and time.
 * - A frame that comes back of another object is not shown under this one's time.
 */
import { fillList, find, make, mark, say } from "../dom.js";
import { wall } from "../texts.js";
import { viewName } from "./image.js";

export const KEPT = 6;
/** Of the objects of a case: what their entries say, for the caption of the last image. */
const MAX_KNOWN = 50;
const PATIENCE_MS = 15_000;
/** On a 4K screen a tile is 220 pixels wide. */
const THUMB_PX = 240;

export class Strip {
  /** The newest images, the newest first. @type {any[]} */
  #images = [];
  /** @type {string | null} */
  #record = null;
  #seen = new Set();
  #loading = false;

  /** @param {import("../room.js").Room} room @param {import("../format.js").Times} times */
  constructor(room, times) {
    this.room = room;
    this.times = times;
    this.list = find("strip");
  }

  /** How many images of the open record are known here. */
  get count() {
    return this.#seen.size;
  }

  /** @param {string} sha256 what `state/carm` would say of it */
  lookUp(sha256) {
    return this.#images.find((image) => image.sha256 === sha256);
  }

  /** A journal line. @param {any} line */
  take(line) {
    if (line.type === "record.opened" || (this.#record !== null && line.record > this.#record)) this.#begin(line.record);
    if (this.#record !== null && line.record < this.#record) return;
    this.#record = line.record;
    const data = line.data;
    if (line.type !== "carm.image" || data.duplicate_of || data.taken_in || !data.rows || this.#seen.has(line.seq)) return;
    this.#seen.add(line.seq);
    this.#images.push({ ...data, seq: line.seq, observed_at: line.time, record: line.record, thumb: null, asked: false });
    this.#images.sort((a, b) => (a.observed_at < b.observed_at ? 1 : -1));
    this.#images.length = Math.min(this.#images.length, MAX_KNOWN);
    this.#images.slice(KEPT).forEach((image) => (image.thumb = null));
    this.#load();
  }

  /** @param {string} record */
  #begin(record) {
    if (record === this.#record) return;
    this.#record = record;
    this.#images = [];
    this.#seen.clear();
  }

  async #load() {
    if (this.#loading) return;
    this.#loading = true;
    for (let next; (next = this.#images.slice(0, KEPT).find(({ asked }) => !asked)); ) {
      next.asked = true;
      next.thumb = await this.#thumb(next);
      this.render();
    }
    this.#loading = false;
  }

  /** @param {any} image @returns {Promise<HTMLCanvasElement | null>} */
  async #thumb(image) {
    try {
      const { blob, frame } = await this.room.frame(image.observed_at, image.record, AbortSignal.timeout(PATIENCE_MS));
      if (blob === null || frame?.sha256 !== image.sha256) return null;
      const bitmap = await createImageBitmap(blob);
      const scale = Math.min(1, THUMB_PX / Math.max(bitmap.width, bitmap.height));
      const canvas = make("canvas");
      canvas.width = Math.max(1, Math.round(bitmap.width * scale));
      canvas.height = Math.max(1, Math.round(bitmap.height * scale));
      const context = canvas.getContext("2d");
      if (context) context.imageSmoothingQuality = "high";
      context?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      bitmap.close();
      return canvas;
    } catch {
      return null;
    }
  }

  render() {
    const total = this.room.state("state/dose")?.payload.images ?? this.#seen.size;
    const last = this.room.state("state/carm")?.payload.shown_sha256;
    const shown = this.#images.slice(0, KEPT);
    const earlier = total - shown.length;
    const fits = earlier > 0 && shown.length === KEPT ? shown.slice(0, KEPT - 1) : shown;
    const tiles = [...fits, ...(earlier > 0 && shown.length === KEPT ? [{ earlier: total - fits.length }] : [])];
    fillList(this.list, tiles, makeTile, (/** @type {any} */ node, image) => this.#fill(node, image, last));
  }

  /** @param {HTMLElement} node @param {any} image @param {string} last */
  #fill(node, image, last) {
    const [place, text] = /** @type {[HTMLElement, HTMLElement]} */ ([node.firstChild, node.lastChild]);
    mark(node, "data-kind", image.earlier ? "earlier" : image.sha256 === last ? "last" : "image");
    if (place.firstChild !== (image.thumb ?? null)) place.replaceChildren(...(image.thumb ? [image.thumb] : []));
    const time = image.earlier ? "" : this.times.minute(image.observed_at);
    say(text, image.earlier ? wall.image.earlier(image.earlier) : `${viewName(image)} ${time}`);
    mark(node, "title", image.earlier ? null : this.times.utc(image.observed_at));
    mark(place, "aria-label", image.earlier ? null : wall.image.thumb(viewName(image), time));
  }
}

function makeTile() {
  const place = make("div", "thumb");
  place.setAttribute("role", "img");
  return make("li", "", place, make("span"));
}
