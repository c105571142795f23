// What an operator can do with the selected alert. Each step is a small form of its own, shown only
// while the alert's state allows it; the server has the last word and says why not.

import { el, setAttribute } from "./dom.js";
import { closable, isNew, needsCheck, state } from "./state.js";
import { CHECKS, OUTCOMES, WAYS } from "./words.js";

const NOTE_CHARACTERS = 2000;
const NAME_CHARACTERS = 200;
const SHELF_MINUTES = [15, 30, 60, 120, 240, 480];

// name -> whether the step is offered, its fields, the words on its button
const STEPS = {
  resolve: {
    offered: (alert) => closable(alert) && !needsCheck(alert),
    label: "Resolve",
    fields: () => [
      choice("outcome", "Outcome", "What was it?", OUTCOMES),
      text("note", "Note for the resolution", "What was found and done", NOTE_CHARACTERS),
    ],
  },
  check: {
    offered: (alert) => closable(alert) && alert.condition === "tamper",
    label: "Note check",
    fields: () => [
      choice("by", "Checked how", "Checked how?", CHECKS),
      text("note", "What the check found", "Strap, case, who was there", NOTE_CHARACTERS),
    ],
  },
  tell: {
    offered: (alert) => alert.state === "active" && (alert.procedure ?? []).includes("tell_protected"),
    label: "Tell her",
    fields: () => [choice("way", "Which way she should go", "No way to go", WAYS, false)],
  },
  dispatch: {
    offered: () => true,
    label: "Dispatch",
    fields: () => [text("to", "Who is sent", "Unit, patrol or person sent", NAME_CHARACTERS)],
  },
  assign: {
    offered: () => true,
    label: "Assign",
    fields: () => [text("to", "Assign to", "Operator; empty for nobody", NAME_CHARACTERS, false)],
  },
  shelve: {
    offered: (alert) => alert.tier > 1 && !alert.shelved_until,
    label: "Shelve",
    fields: () => [
      choice("minutes", "For how long", "For how long?", Object.fromEntries(
        SHELF_MINUTES.map((minutes) => [minutes, minutes < 60 ? `${minutes} min` : `${minutes / 60} h`]),
      )),
      text("reason", "Reason for shelving", "Why it can wait", NOTE_CHARACTERS),
    ],
    read: (body) => ({ ...body, minutes: Number(body.minutes) }),
  },
  unshelve: { offered: (alert) => Boolean(alert.shelved_until), label: "Take off the shelf", fields: () => [] },
};

function choice(name, label, ask, options, required = true) {
  return el("select", { name, "aria-label": label, required },
    el("option", { value: "" }, ask),
    ...Object.entries(options).map(([value, words]) => el("option", { value }, words)));
}

// Required, so that a stray Enter does nothing.
function text(name, label, placeholder, maxlength, required = true) {
  const node = el("input", {
    name, maxlength, placeholder, required, autocomplete: "off", "aria-label": label,
  });
  node.addEventListener("keydown", (event) => {
    if (event.key === "Escape") node.blur();
  });
  return node;
}

// The forms of one alert. What is typed survives every update, since only what is offered changes.
export function makeSteps(id, act) {
  const forms = Object.entries(STEPS).map(([name, step]) => makeForm(id, name, step, act));
  return el("div", { class: "steps" }, ...forms);
}

function makeForm(id, name, step, act) {
  const button = el("button", { type: "submit" }, step.label);
  const form = el("form", { class: "step", "data-step": name }, ...step.fields(), button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = Object.fromEntries(
      [...new FormData(form)].map(([key, value]) => [key, value.trim()]),
    );
    const empty = [...form.elements].find((field) => field.required && !body[field.name]);
    if (empty) {
      empty.value = "";
      empty.focus();
      return;
    }
    if (await act(id, name, step.read ? step.read(body) : body)) form.reset();
  });
  return form;
}

export function drawSteps(node, alert) {
  for (const form of node.children) {
    setAttribute(form, "hidden", STEPS[form.dataset.step].offered(alert) ? null : "hidden");
  }
}

// Brings the keyboard to what closes the selected alert; false when that is not possible yet.
export function askToClose(node) {
  const alert = state.alerts.get(state.selected?.alert);
  if (!node || !alert || isNew(alert) || !closable(alert)) return false;
  const form = node.querySelector(`[data-step="${needsCheck(alert) ? "check" : "resolve"}"]`);
  form.querySelector("select").focus();
  return true;
}
