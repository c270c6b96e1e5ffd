// @ts-check
/**
 * The wall display: what the room says, for people who look up for a second.
 *
 * Rules:
 * - Everything that is drawn follows from what the room holds retained; events give the curves and the strip.
 * - A value past its time is never shown as current, whoever has stopped talking: device, daemon, broker or network.
 * - Drawing follows the screen, not the messages: however many come, a part is drawn at most once a frame, and once a
 *   second for ages.
 */
import { find, make } from "./dom.js";
import { configuration } from "./config.js";
import { Times } from "./format.js";
import { Room } from "./room.js";
import { wall } from "./texts.js";
import { Alerts } from "./wall/alerts.js";
import { Dose } from "./wall/dose.js";
import { Head } from "./wall/head.js";
import { Health } from "./wall/health.js";
import { readBack } from "./wall/history.js";
import { LastImage } from "./wall/image.js";
import { Phases } from "./wall/phases.js";
import { Pump } from "./wall/pump.js";
import { Standby } from "./wall/standby.js";
import { Strip } from "./wall/strip.js";
import { WINDOW_S } from "./wall/trend.js";
import { Vitals } from "./wall/vitals.js";

const TICK_MS = 1000;
const SPOKEN_KEPT = 5;
/** What is retained comes within some milliseconds; then we know how far the record has come. */
const ALL_STATES_MS = 200;

/** @param {any} config */
function start(config) {
  const room = new Room(config);
  document.title = wall.page(config.room);
  const times = new Times(config.timezone);
  const strip = new Strip(room, times);
  const vitals = new Vitals(room, times);
  const health = new Health(room, times);
  const parts = [
    new Head(room, times), new Phases(room, times), new LastImage(room, times, (sha256) => strip.lookUp(sha256)), strip,
    vitals, new Pump(room, times), new Dose(room, times), new Alerts(room, times, speak), health, new Standby(room, times, health),
  ];
  const take = (/** @type {any} */ line) => {
    vitals.take(line);
    strip.take(line);
  };
  let due = false;
  const draw = () => {
    due = false;
    parts.forEach((part) => part.render());
  };
  const soon = () => {
    if (!due) requestAnimationFrame(draw);
    due = true;
  };
  for (const name of ["link", "status", "state", "identity", "image"]) room.addEventListener(name, soon);
  room.addEventListener("event", (event) => take(/** @type {CustomEvent} */ (event).detail));
  lookBack(room, take, () => strip.count);
  setInterval(soon, TICK_MS);
  soon();
}

/**
 * With each connection, and no more than once: what came before, for the curves and the strip.
 * @param {Room} room @param {(line: any) => void} take @param {() => number} images
 */
function lookBack(room, take, images) {
  let reading = new AbortController();
  let done = false;
  room.addEventListener("link", () => {
    reading.abort();
    reading = new AbortController();
    done = false;
  });
  room.addEventListener("state", () => {
    if (done || !room.present || !room.state("state/procedure")) return;
    done = true;
    setTimeout(readNow, ALL_STATES_MS);
  });
  const readNow = () => {
    const heads = room.topics("state/").map((topic) => room.state(topic)?.payload.as_of).filter(Boolean);
    const head = heads.sort((a, b) => (a.record === b.record ? a.seq - b.seq : a.record < b.record ? -1 : 1)).at(-1);
    const enough = (/** @type {any} */ oldest) =>
      (room.clock.age(oldest.time) ?? 0) > WINDOW_S && images() >= (room.state("state/dose")?.payload.images ?? 0);
    if (head) readBack(room, head, take, enough, reading.signal).catch(() => undefined); // curves and strip begin now, then
  };
}

/** For a screen reader. @param {string} text */
function speak(text) {
  const place = find("spoken");
  place.append(make("p", "", text));
  while (place.children.length > SPOKEN_KEPT) place.firstChild?.remove();
}

start(await configuration());
