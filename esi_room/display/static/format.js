// @ts-check
/**
 * Numbers, times and ages as a person reads them. Times are the room's, in the room's zone; UTC is their title.
 */
import { common } from "./texts.js";

/** How times of a room are written. */
export class Times {
  /** @type {Intl.DateTimeFormat} */
  #minute;
  /** @type {Intl.DateTimeFormat} */
  #second;
  /** @type {Intl.DateTimeFormat} */
  #day;

  /** @param {string} zone IANA name; one that the browser does not know becomes UTC */
  constructor(zone) {
    this.zone = zone;
    try {
      new Intl.DateTimeFormat("en-GB", { timeZone: zone });
    } catch {
      this.zone = "UTC";
    }
    const format = (/** @type {Intl.DateTimeFormatOptions} */ options) =>
      new Intl.DateTimeFormat("en-GB", { timeZone: this.zone, ...options });
    this.#minute = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    this.#second = format({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    this.#day = format({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
  }

  /** `14:03` @param {string | number | null | undefined} time */
  minute(time) {
    return this.#with(this.#minute, time);
  }

  /** `14:03:22` @param {string | number | null | undefined} time */
  second(time) {
    return this.#with(this.#second, time);
  }

  /** `Mon, 30 Nov 2026` @param {string | number | null | undefined} time */
  day(time) {
    return this.#with(this.#day, time);
  }

  /** `2026-11-30 13:03:22 UTC` @param {string | number | null | undefined} time */
  utc(time) {
    const moment = new Date(time ?? NaN);
    return Number.isNaN(moment.getTime()) ? "" : `${moment.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  }

  /** @param {Intl.DateTimeFormat} format @param {string | number | null | undefined} time */
  #with(format, time) {
    const moment = new Date(time ?? NaN);
    return Number.isNaN(moment.getTime()) ? "" : format.format(moment);
  }
}

/** `0:42`, `12:07`, `1:02:33`, `3 d 4 h`; empty for null. @param {number | null | undefined} seconds */
export function age(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const [days, hours] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24];
  const [minutes, rest] = [Math.floor(whole / 60) % 60, whole % 60];
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/**
 * How long ago a time of the room was; as long as that is not known, at least how long.
 * @param {{clock: import("./roomclock.js").RoomClock}} room
 * @param {string | number | null | undefined} time
 */
export function ageOf(room, time) {
  const text = age(room.clock.age(time));
  return text && !room.clock.sure ? `> ${text}` : text;
}

/** At most so many decimals, none for nothing. @param {number | null | undefined} value @param {number} [decimals] */
export function number(value, decimals = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "";
  return String(Number(value.toFixed(decimals))).replace("-", "\u2212");
}

/** Always so many decimals, so that digits do not jump. @param {number | null | undefined} value @param {number} decimals */
export function fixed(value, decimals) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "";
  return value.toFixed(decimals).replace("-", "\u2212");
}

/** A device's id, as a person would say it: `monitor-1` is Monitor 1. @param {string} id */
export function deviceName(id) {
  if (id in common.devices) return common.devices[/** @type {keyof typeof common.devices} */ (id)];
  const words = id.replace(/[-_]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A code of the contract in words: `line_lost` is line lost. @param {string | null | undefined} code */
export function words(code) {
  return (code ?? "").replace(/_/g, " ");
}

/** DICOM person name: `DOE^JANE` is DOE, JANE. @param {string} name */
export function personName(name) {
  const [family, given] = name.split("^");
  return [family, given].filter(Boolean).join(", ");
}
