import {$, make, say, grouped, plural, time, instant, soon, spoken, kindOf, inOrder} from "./words.js";
import {follow} from "./api.js";
import {Charts} from "./charts.js";
import {Machines} from "./machines.js";
import {Controls} from "./controls.js";

function problem(text) {
  $("problem").hidden = !text;
  say($("problem"), text);
}

const charts = new Charts($("charts"), $("nolimits")), machines = new Machines(problem), controls = new Controls(problem);

// banner says how it stands. Aloud it is said only where it is another matter, not
// whenever the time of the next call moves.
function banner(text, kind, matter) {
  say($("status"), text);
  $("status").className = "banner " + kind;
  if ($("told").dataset.matter === matter) return;
  $("told").dataset.matter = matter;
  say($("told"), text);
}

// stands says in a sentence how it stands, whether that is good, and what the matter is.
function stands(state, c) {
  const r = c.running;
  if (state.ended && c.kind === "run" && c.ended_at) return [`The run has ended: ${c.exit_reason}. This is its final state.`, c.exit_code ? "bad" : "good", "ended"];
  if (state.ended) return ["The process has ended. This is the last state that it told.", "", "ended"];
  if (!r) return [(c.exit_reason ? `The last run: ${c.exit_reason}. ` : "") + `${state.why}`, c.exit_code ? "bad" : "good", "journal"];
  if (r.stopping) return [`Stopping: ${r.stopping}. What is in flight is finished.`, "bad", "stopping"];
  if (r.held) return [`Paused by ${r.held.by} at ${time(r.held.since)}. Nothing is sent.`, "bad", "held"];
  if (r.waiting) return [`Waiting until ${time(r.waiting.until)}: ${r.waiting.reason}.`, "", "running"];
  return ["Running. " + state.why, "good", "running"];
}

function fact(name, text) {
  const box = make("div");
  box.append(make("dt", name), make("dd", text));
  return box;
}

function facts(c) {
  const n = s => c.counts[s] ?? 0, total = c.list.machines;
  const sent = n("accepted") + n("succeeded");
  const known = [
    ["Machines", grouped(total)], ["Accepted or succeeded", grouped(sent) + (total ? ` (${Math.floor(100 * sent / total)}%)` : "")],
    ["Left to send", grouped(n("planned"))], ["In doubt", grouped(n("in_doubt"))],
    ["Rejected or failed", grouped(n("rejected") + n("failed") + n("timed_out") + n("cancelled"))],
    ["Calls", grouped(c.calls.sent)], ["Answered 429", grouped(c.calls.throttled)],
  ];
  if (c.running?.ends_at && n("planned") > 0) known.push(["All sent by", soon(c.running.ends_at)]);
  if (c.waves) known.push(["Wave", `${c.waves.open} of ${c.waves.of}`]);
  for (const q of c.running?.quotas ?? []) {
    if (q.next_at && q.used >= q.limit) known.push([`Next call (${q.per_seconds} s)`, time(q.next_at)]);
  }
  $("facts").replaceChildren(...known.map(k => fact(...k)));
}

const outcome = new Map();

function states(c) {
  const body = $("states").tBodies[0], total = Math.max(1, c.list.machines);
  for (const [state, n] of Object.entries(c.counts)) {
    if (!n && !outcome.has(state)) continue;
    if (!outcome.has(state)) {
      outcome.set(state, outcomeRow(state));
      body.append(...[...outcome.keys()].sort(inOrder).map(s => outcome.get(s).row));
    }
    const {number, bar} = outcome.get(state);
    say(number, grouped(n));
    bar.style.width = 100 * n / total + "%";
  }
}

function outcomeRow(state) {
  const row = make("tr"), head = row.appendChild(make("th")), number = row.appendChild(make("td", "", "number"));
  head.scope = "row";
  const button = head.appendChild(make("button", spoken(state)));
  button.type = "button";
  button.addEventListener("click", () => machines.only(state));
  const bar = make("div", undefined, "bar " + kindOf(state));
  row.appendChild(make("td")).append(bar);
  return {row, number, bar};
}

function notes(all) {
  $("quiet").hidden = all.length > 0;
  const key = JSON.stringify(all.at(-1) ?? 0) + all.length;
  if ($("notes").dataset.key === key) return;
  $("notes").dataset.key = key;
  $("notes").replaceChildren(...all.toReversed().map(n => {
    const item = make("li"), at = item.appendChild(make("time", time(n.at)));
    at.dateTime = n.at;
    item.append(" " + n.text);
    return item;
  }));
}

function show(state) {
  const c = state.campaign;
  if (!c) return banner("The campaign cannot be read: " + state.error, "bad", "error");
  document.title = "Campaign " + c.campaign;
  say($("name"), c.campaign);
  say($("about"), (c.ticket ? `Ticket ${c.ticket}. ` : "") + `${plural(c.list.machines, "machine")} from ${c.list.path.split(/[\\/]/).pop()}.`);
  say($("by"), c.running ? `Process ${c.running.pid}, since ${instant(c.running.started_at)}.` : "");
  banner(...stands(state, c));
  facts(c);
  states(c);
  notes(c.notes ?? []);
  charts.account(c.running?.quotas?.length ? c.running.quotas : c.limits);
  controls.show(state.controls, c.running);
}

// event says whether it was the last one.
async function event(name, data) {
  if (name === "samples") charts.add(data);
  if (name !== "state") return false;
  show(data);
  if (data.ended) {
    controls.end();
    if (machines.begun) await machines.load();
    machines.end();
    return true;
  }
  if (machines.begun) machines.changed(data.changes);
  else if (!machines.beginning) machines.beginning = machines.begin().catch(e => { machines.beginning = undefined; problem("The machines cannot be read: " + e.message); });
  return false;
}

follow({
  event,
  lost: () => { banner("The connection is lost; what is shown may be old. Trying again…", "bad", "lost"); controls.end(); },
  refused: e => { banner(e.message, "bad", "refused"); controls.end(); },
});
