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
