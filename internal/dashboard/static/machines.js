import {$, make, say, grouped, plural, instant, spoken, kindOf} from "./words.js";
import {get} from "./api.js";

const rows = 50;

// Machines is the table. The server searches and sorts; a page of it is here.
export class Machines {
  order = "row";
  descending = false;
  offset = 0;

  constructor(problem) { this.problem = problem; }

  async begin() {
    const {columns, states} = await get("api/columns");
    this.columns = [
      {name: "Row", key: "row", number: true}, {name: "Name", key: "name"}, {name: "State", key: "state"},
      ...columns.map((name, i) => ({name, key: "carried:" + i, of: m => m.carried?.[i] ?? "", long: true})),
      {name: "MachineAction", key: "action_id", mono: true}, {name: "Error", key: "error", long: true},
      {name: "Attempts", key: "attempts", number: true}, {name: "Changed", key: "updated_at"}, {name: "Machine id", key: "machine_id", mono: true},
    ];
    for (const s of states) {
      const option = $("state").appendChild(make("option", spoken(s)));
      option.value = s;
    }
    $("all").tHead.rows[0].replaceChildren(...this.columns.map(c => this.head(c)));
    this.listen();
    this.begun = true;
    await this.load();
  }

  head(column) {
    const head = make("th"), button = head.appendChild(make("button", column.name));
    head.scope = "col";
    button.type = "button";
    button.addEventListener("click", () => {
      this.descending = this.order === column.key && !this.descending;
      this.order = column.key;
      this.anew();
    });
    column.head = head;
    return head;
  }

  listen() {
    let waiting;
    $("words").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => this.anew(), 150); });
    $("state").addEventListener("change", () => this.anew());
    $("find").addEventListener("submit", e => { e.preventDefault(); this.anew(); });
    $("before").addEventListener("click", () => this.turn(-rows));
    $("after").addEventListener("click", () => this.turn(rows));
  }

  only(state) {
    $("state").value = state;
    this.anew();
    $("machines").focus();
  }

  anew() { this.offset = 0; return this.load(); }
  turn(by) { this.offset = Math.max(0, this.offset + by); return this.load(); }

  // changed asks again when machines have changed, one question at a time.
  async changed(changes) {
    if (!this.begun || this.changes === changes) return;
    this.changes = changes;
    if (this.asking) { this.again = true; return; }
    await this.load();
  }

  async load() {
    if (this.over) return;
    this.asking?.abort();
    const asking = this.asking = new AbortController();
    const asked = new URLSearchParams({
      q: $("words").value, state: $("state").value, sort: this.order, offset: this.offset, limit: rows, ...(this.descending && {desc: "1"}),
    });
    try {
      this.show(await get("api/machines?" + asked, asking.signal));
      this.problem("");
    } catch (e) {
      if (asking.signal.aborted) return;
      this.problem(e instanceof TypeError ? "" : "The machines cannot be read: " + e.message); // a lost connection is told elsewhere
    }
    if (this.asking === asking) this.asking = undefined;
    if (this.again) { this.again = false; await this.load(); }
  }

  show({total, matching, offset, machines}) {
    this.offset = offset;
    $("all").tBodies[0].replaceChildren(...machines.map(m => this.row(m)));
    for (const c of this.columns) {
      if (c.key === this.order) c.head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else c.head.removeAttribute("aria-sort");
    }
    const last = offset + machines.length;
    say($("shown"), (matching ? `${grouped(offset + 1)} to ${grouped(last)} of ${grouped(matching)}` : "None") +
      (matching === total ? "" : `, out of ${plural(total, "machine")}`));
    $("before").disabled = offset === 0;
    $("after").disabled = last >= matching;
  }

  row(m) {
    const row = make("tr");
    for (const c of this.columns) {
      const text = c.of ? c.of(m) : c.key === "updated_at" ? instant(m.updated_at) : c.key === "state" ? spoken(m.state) : String(m[c.key] ?? "");
      const kind = [c.number && "number", c.mono && "mono", c.long && "long", c.key === "state" && kindOf(m.state)].filter(Boolean).join(" ");
      row.append(make("td", text, kind));
    }
    return row;
  }

  // end leaves what is shown: nobody answers any more.
  end() {
    this.over = true;
    for (const e of document.querySelectorAll("#find input, #find select, #all button, #states button, nav button")) e.disabled = true;
  }
}
