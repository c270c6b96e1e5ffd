// @ts-check
/** Every word of the panel and the controls, and how figures and moments are written. */

export const TEXTS = {
  cursor: "Moment shown",
  play: "Play",
  pause: "Pause",
  speed: "Speed",
  times: (/** @type {number} */ n) => `${n} ×`,
  imageBefore: "Image before",
  imageAfter: "Next image",
  phases: "Jump to a phase",
  panel: "What was known at this moment",
  keys: "Move over the axis to look, press to stay. ← → one second, with Shift ten; Page keys a minute; Space plays.",
  noPhase: "no phase yet",
  since: "since",
  image: "Image",
  noImage: "No image had been taken",
  imageOf: (/** @type {number} */ n, /** @type {number} */ all) => `Image ${n} of ${all}`,
  frameOf: (/** @type {number} */ n, /** @type {number} */ all) => `frame ${n} of ${all}`,
  framesUntold: (/** @type {number} */ all) => `${all} frames without times: the last one`,
  shownInstead: (/** @type {number} */ n) => `shown is frame ${n}: this file has not all of them`,
  cannotShow: "This image cannot be shown",
  loading: "The image is being fetched",
  late: "came late",
  ago: (/** @type {string} */ age) => `${age} before`,
  pump: "Pump",
  noPump: "No pump had said anything",
  delivered: "delivered",
  ofTarget: (/** @type {string} */ ml) => `of ${ml} mL`,
  byHand: (/** @type {string} */ drugs) => `Being given by hand: ${drugs}; how much is said at its end`,
  soFar: "Delivered so far",
  deliveries: (/** @type {number} */ n) => (n === 1 ? "1 delivery" : `${n} deliveries`),
  volumeUnknown: "of at least one the volume is not known",
  drugUnsaid: "drug not said",
  vitals: "Vital signs",
  cuff: "Cuff",
  mean: "mean",
  noVitals: "No monitor had said anything",
  more: (/** @type {number} */ n) => `${n} more`,
  dose: "Dose so far",
  noDose: "Nothing told of dose",
  fluoroscopy: "Fluoroscopy",
  dap: "Dose area product",
  kerma: "Air kerma",
  said: "Last said",
  noSaid: "Nobody had said anything",
  by: (/** @type {string} */ who) => `by ${who}`,
  corrected: "corrected:",
  corrects: (/** @type {string} */ what) => `correction of ${what}`,
  alerts: "Active alerts",
  noAlerts: "None",
  seen: (/** @type {string} */ how, /** @type {string} */ who) => `${how}${who ? ` by ${who}` : ""}`,
  unsaid: "not said",
};

/** Why a value is not current. @type {Record<string, string>} */
export const WHY = {
  old: "old",
  lost: "device lost",
  gap: "gap",
  invalid: "invalid",
  off: "off",
  unsupported: "unsupported",
};

/** How moments of this case are written. */
export class Moments {
  /** @param {number} origin @param {string} zone */
  constructor(origin, zone) {
    this.origin = origin;
    /** @type {Intl.DateTimeFormatOptions} */
    const clock = { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
    this.seconds = new Intl.DateTimeFormat("en-GB", clock);
    this.tenths = new Intl.DateTimeFormat("en-GB", { ...clock, fractionalSecondDigits: 1 });
    this.zone = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "short" });
  }

  /** @param {number} t */
  utc(t) {
    return `${new Date(this.origin + t).toISOString()} (UTC)`;
  }

  /** @param {number} t */
  zoneName(t) {
    const part = this.zone.formatToParts(this.origin + t).find((each) => each.type === "timeZoneName");
    return part?.value ?? "";
  }
}

/** How long, in the unit that suits. @param {number} ms */
export function span(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

/** With no more digits than say something. @param {number} value @param {number} digits */
export function figure(value, digits = 4) {
  return String(Number(value.toPrecision(digits)));
}
