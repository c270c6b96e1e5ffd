// @ts-check
/**
 * The record's page comes to life: a cursor on the axis, a panel that shows its moment, and a player.
 *
 * Without this script the page is whole: drawing, tables, pictures. The script adds nothing to what is known.
 * It is one file where it runs: these modules, joined in the order of `__init__.py`.
 */

import { Controls } from "./controls.js";
import { Cursor } from "./cursor.js";
import { make } from "./dom.js";
import { Known } from "./known.js";
import { Panel } from "./panel.js";
import { Moments, TEXTS } from "./words.js";

function start() {
  const source = document.getElementById("moments");
  const drawing = /** @type {SVGSVGElement | null} */ (document.querySelector("svg.timeline"));
  const stage = document.querySelector(".stage");
  if (source === null || drawing === null || stage === null) return;
  const known = new Known(JSON.parse(source.textContent ?? ""));
  const moments = new Moments(known.data.origin, known.data.zone);
  let t = 0;
  /** @type {number | null} where the mouse looks */
  let looked = null;
  /** @type {number | null} when the last picture of a playing case was drawn */
  let playedAt = null;
  let due = false;

  const panel = new Panel(known, moments);
  const controls = new Controls(known, moments, { goTo, by: (ms) => goTo(t + ms), image, play });
  const cursor = new Cursor(drawing, known.data, moments, { goTo, look });

  /** At most once a picture of the screen. */
  function show() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      cursor.place(t);
      controls.show(t, playedAt !== null);
      panel.show(playedAt === null && looked !== null ? looked : t);
    });
  }

  /** @param {number} to */
  function goTo(to) {
    t = Math.min(known.end, Math.max(0, to));
    show();
  }

  /** @param {number | null} at */
  function look(at) {
    if (looked === at) return;
    looked = at;
    show();
  }

  /** To the image before, or after. @param {number} step */
  function image(step) {
    const { times, image: of } = known.frames;
    const starts = times.filter((_at, n) => n === 0 || of[n] !== of[n - 1]);
    const there = step > 0 ? starts.find((at) => at > t) : starts.findLast((at) => at < t);
    if (there !== undefined) goTo(there);
  }

  function play() {
    if (playedAt !== null) {
      playedAt = null;
    } else {
      if (t >= known.end) t = 0;
      playedAt = performance.now();
      requestAnimationFrame(tick);
    }
    show();
  }

  /** @param {number} now */
  function tick(now) {
    if (playedAt === null) return;
    t = Math.min(known.end, t + Math.max(0, now - playedAt) * controls.speed);
    playedAt = t < known.end ? now : null;
    show();
    if (playedAt !== null) requestAnimationFrame(tick);
  }

  stage.prepend(controls.element, make("div", { class: "slider" }, controls.slider));
  stage.append(make("p", { class: "keys" }, TEXTS.keys));
  stage.after(panel.element);
  document.body.classList.add("alive");
  show();
}

start();
