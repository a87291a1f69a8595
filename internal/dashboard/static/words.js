// Everything that comes from lists and answers becomes text, never markup.
export const $ = id => document.getElementById(id);

export function make(name, text, className) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

// say changes a text only where it is another one: what is read aloud is read once.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const grouped = n => Number(n).toLocaleString("en");
export const plural = (n, thing) => grouped(n) + " " + thing + (n === 1 ? "" : "s");
const empty = "0001-01-01T00:00:00Z"; // a time that never was
export const time = at => !at || at === empty ? "" : new Date(at).toISOString().slice(11, 19);
export const instant = at => !at || at === empty ? "" : new Date(at).toISOString().slice(0, 19).replace("T", " ");
// soon leaves out the day where it is today.
export const soon = at => instant(at).slice(0, 10) === new Date().toISOString().slice(0, 10) ? time(at) : instant(at);
export const spoken = state => state.replaceAll("_", " ");

// kinds are the states in their order, and whether each is good or bad.
const kinds = {
  planned: "none", sending: "", accepted: "", succeeded: "good", failed: "bad", timed_out: "bad", cancelled: "bad", rejected: "bad",
  in_doubt: "bad", excluded: "none",
};
const order = Object.keys(kinds);
export const kindOf = state => kinds[state] ?? "";
export const inOrder = (a, b) => order.indexOf(a) - order.indexOf(b);
