// @ts-check
/**
 * Every text that a person reads on a page, in one place: for another language, translate this file.
 *
 * Rules:
 * - One section a page, `common` for what more than one says. A function where a text holds numbers or names.
 * - Short, plain, exact: say what is, then what to do. Units as they are spoken at the table.
 */

/** What more than one page says. */
export const common = {
  phases: {
    evaluation: "Evaluation",
    preparation: "Preparation",
    guidance: "Guidance",
    injection: "Injection",
    recovery: "Recovery",
    follow_up: "Follow-up",
  },
  devices: { carm: "C-arm", room: "Room" },
  severities: { info: "Note", low: "Low", medium: "Medium", high: "High", critical: "Critical" },
  sides: { left: "left", right: "right", bilateral: "bilateral", midline: "midline" },
  /** UCUM, as it is written on a screen. */
  units: { "mm[Hg]": "mmHg", "/min": "/min", "%": "%", Cel: "°C" },
  problems: {
    too_large: "too large to be read",
    no_json: "not readable (no JSON)",
    wrong_shape: "not readable (unknown shape)",
    no_jpeg: "not readable (damaged image)",
  },
};

/** The login page. */
export const login = {
  title: "Log in",
  name: "Name",
  password: "Password",
  submit: "Log in",
  why: {
    wrong: "The name or the password is wrong.",
    wait: "Too many wrong passwords. Wait a minute, then try again.",
    old: "This page was too old. Try again.",
    out: "You are logged out.",
    away: "The server does not answer. Load this page again.",
  },
};

/** The wall display. */
export const wall = {
  title: (/** @type {string} */ room) => `Room ${room}`,
  noProcedure: "Between cases",
  unnamedProcedure: "Epidural injection",
  case: (/** @type {string} */ suffix) => `Case ${suffix}`,
  noRecord: "No record is open",
  born: (/** @type {string} */ date) => `born ${date}`,
  patientId: (/** @type {string} */ id) => `ID ${id}`,
  unreadable: (/** @type {string} */ what) => `What the room says of this is ${what}`,
  waiting: "Not heard of yet",
  last: "last",
  ago: (/** @type {string} */ age) => `${age} ago`,
  old: (/** @type {string} */ age) => `${age} old`,
  since: (/** @type {string} */ time) => `since ${time}`,

  banner: {
    connecting: "Connecting to the broker",
    lost: (/** @type {string} */ time) => (time ? `No connection to the broker since ${time}` : "No connection to the broker"),
    offline: (/** @type {string} */ time) => (time ? `The room\u2019s recorder is off since ${time}` : "The room\u2019s recorder is off"),
    silent: "The room has not said anything yet",
    old: "Grey is what was last known, not what is. It comes back by itself.",
    wait: "It goes on by itself.",
  },

  image: {
    name: "Last image",
    none: "No image yet",
    damaged: "The last image is damaged and cannot be shown",
    newer: (/** @type {string} */ time) => `A newer image of ${time} is not shown yet`,
    problem: (/** @type {string} */ time, /** @type {string} */ why) => `The newer image of ${time} cannot be shown: ${why}`,
    taken: "Taken",
    view: "View",
    angles: "C-arm angle",
    frames: "Frames",
    frameCount: (/** @type {number} */ frames) => (frames > 1 ? `${frames} frames` : "single"),
    beam: "Beam",
    count: "In this case",
    images: (/** @type {number} */ images) => `${images} ${images === 1 ? "image" : "images"}`,
    earlier: (/** @type {number} */ count) => `+ ${count} earlier`,
    thumb: (/** @type {string} */ view, /** @type {string} */ time) => `${view} at ${time}`,
    label: (/** @type {string} */ view, /** @type {string} */ time) => `Last image, ${view}, taken at ${time}`,
    views: { ap: "AP", lateral: "Lateral", oblique: "Oblique", unknown: "View not told" },
    sides: { primary: ["LAO", "RAO"], secondary: ["CRA", "CAU"] },
  },

  vitals: {
    name: "Vital signs",
    heart: { heart_rate_bpm: "Heart rate", pulse_rate_bpm: "Pulse" },
    oxygen: { spo2_pct: "SpO2" },
    pressure: { nibp_systolic_mmhg: "Blood pressure" },
    breath: { respiratory_rate_bpm: "Breathing", impedance_respiratory_rate_bpm: "Breathing" },
    mean: (/** @type {string} */ value) => `mean ${value}`,
    etco2: "etCO2",
    measuring: "measuring",
    measured: (/** @type {string} */ time, /** @type {string} */ age) => `${time}, ${age} ago`,
    noValue: { ok: "no value", invalid: "no value", questionable: "doubtful", off: "off", unsupported: "not measured" },
    none: "not measured",
    doubtful: "doubtful",
    limit: "beyond alarm limit",
    minutes: (/** @type {number} */ minutes) => `${minutes} min`,
    trend: (/** @type {string} */ what) => `${what}, trend line`,
  },

  pump: {
    name: "Pump",
    byHand: "By hand",
    none: "No pump has spoken in this case",
    states: {
      infusing: "Injecting", withdrawing: "Withdrawing", stopped: "Stopped", paused: "Paused", purging: "Purging",
      alarm: "Alarm", completed: "Complete", unknown: "State not told",
    },
    of: (/** @type {string} */ target) => `of ${target}`,
    rate: "Rate",
    pressure: "Pressure",
    notTold: "not told",
    delivered: "Delivered",
    delivery: (/** @type {number} */ number) => `Delivery ${number}`,
    progress: (/** @type {string} */ done, /** @type {string} */ target) => `${done} of ${target} millilitres delivered`,
  },

  dose: {
    name: "Radiation dose",
    none: "Nothing told of dose yet",
    fluoro_time_s: "Fluoroscopy",
    dap_gy_m2: "Dose area product",
    air_kerma_rp_gy: "Air kerma",
    units: { fluoro_time_s: "s", dap_gy_m2: "cGy\u00b7cm\u00b2", air_kerma_rp_gy: "mGy" },
    level: (/** @type {string} */ level) => `level ${level}`,
    exceeded: "above the room\u2019s level",
    atLeast: "At least: told by image headers, which do not tell fluoroscopy without an image",
    notTold: "not told",
    meter: (/** @type {string} */ what, /** @type {string} */ value, /** @type {string} */ level) => `${what}: ${value}, the room\u2019s level is ${level}`,
  },

  alerts: {
    name: "Alerts",
    none: "No alerts",
    more: (/** @type {number} */ count) => `and ${count} more`,
    acknowledged: (/** @type {string} */ actor, /** @type {string} */ time) => `seen by ${actor}, ${time}`,
    overridden: (/** @type {string} */ actor, /** @type {string} */ reason) => `${actor} went on: ${reason}`,
    acknowledgedPlain: (/** @type {string} */ time) => `seen ${time}`,
    rule: (/** @type {string} */ rule) => `Rule ${rule}`,
    device: (/** @type {string} */ name) => `${name} says`,
  },

  health: {
    daemon: "Recorder",
    broker: "Broker",
    states: {
      connected: "connected", connecting: "connecting", negotiating: "connecting", stale: "silent", lost: "lost",
      unknown: "not heard yet", listening: "ready",
    },
    online: "recording",
    offline: "off",
    linked: "connected",
    unlinked: "lost",
    unlinkedYet: "connecting",
    problem: "trouble",
    lastKnown: (/** @type {string} */ state) => `was ${state}`,
  },

  standby: {
    name: "Room is ready",
    waiting: "Waiting for the next case",
    open: (/** @type {string} */ age) => `for ${age}`,
    last: "Last case",
    ended: (/** @type {string} */ time) => `ended ${time}`,
    outcomes: { completed: "Completed", discontinued: "Discontinued", unknown: "Outcome not told" },
    complete: "The record is complete",
    incomplete: (/** @type {number} */ count) => `The record lacks ${count} ${count === 1 ? "entry" : "entries"}`,
    more: (/** @type {number} */ count) => `and ${count} more`,
    deviations: (/** @type {number} */ count) => `${count} ${count === 1 ? "alert was" : "alerts were"} raised`,
    balance: "Syringes do not add up",
    none: "No case has been recorded here yet",
    ready: (/** @type {number} */ ready, /** @type {number} */ all) => `${ready} of ${all} devices are connected`,
  },
};
