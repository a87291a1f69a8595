import {make, say, grouped, plural} from "./words.js";

// colour is what a property of the style sheet is in the present colour scheme.
function colour(name) {
  const probe = document.body.appendChild(make("i"));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const windowName = seconds => ({60: "a minute", 3600: "an hour"})[seconds] ?? plural(seconds, "second");

// Chart draws how far one quota was used.
class Chart {
  constructor(host) {
    this.figure = host.appendChild(make("figure"));
    this.plot = this.figure.appendChild(make("div", undefined, "plot"));
    this.plot.setAttribute("role", "img");
    this.caption = this.figure.appendChild(make("figcaption"));
    this.size = new ResizeObserver(() => this.plotted?.setSize(this.room()));
    this.size.observe(this.plot);
  }

  room() { return {width: Math.max(this.plot.clientWidth, 100), height: this.plot.clientHeight}; }

  begin() {
    this.plotted?.destroy();
    const [line, limit, grid, text] = ["open", "bad", "line", "quiet"].map(colour);
    const axis = {stroke: text, grid: {stroke: grid, width: 1}, ticks: {stroke: grid}, font: "12px system-ui"};
    this.plotted = new uPlot({
      ...this.room(), legend: {show: false}, cursor: {show: false}, pxAlign: 1,
      tzDate: at => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: {y: {range: (_, low, high) => [0, 1.05 * Math.max(high, this.limit, 1)]}},
      axes: [{...axis, values: (_, all) => all.map(at => new Date(at * 1000).toISOString().slice(11, 19))}, {...axis, size: 56}],
      series: [
        {}, {stroke: line, width: 2, points: {show: u => u.data[0].length < 3}},
        {stroke: limit, width: 1.5, dash: [6, 5], points: {show: false}},
        {stroke: limit, paths: () => null, points: {show: true, size: 7, fill: limit}},
      ],
    }, this.data(), this.plot);
  }

  data() {
    const at = this.samples.map(s => Date.parse(s.at) / 1000), used = this.samples.map(s => s.used[this.nth] ?? null);
    const refused = this.samples.map((s, i) => i > 0 && s.throttled > this.samples[i - 1].throttled ? used[i] : null);
    return [at, used, used.map(() => this.limit || null), refused];
  }

  show(samples, nth, quota) {
    Object.assign(this, {samples, nth, limit: quota.limit});
    if (this.plotted) this.plotted.setData(this.data());
    else this.begin();
    const most = Math.max(0, ...samples.map(s => s.used[nth] ?? 0)), now = quota.used ?? samples.at(-1)?.used[nth] ?? 0;
    const refused = samples.length > 1 ? samples.at(-1).throttled - samples[0].throttled : 0;
    const words = `Calls in ${windowName(quota.per_seconds)}: ${grouped(now)}` + (quota.limit ? ` of ${grouped(quota.limit)}` : "") +
      `; ${grouped(most)} at most. ` + (quota.limit ? "The dashed line is the limit." : "") + (refused ? ` Dots: ${plural(refused, "answer")} of 429.` : "");
    say(this.caption, words);
    if (this.plot.getAttribute("aria-label") !== words) this.plot.setAttribute("aria-label", words);
  }

  redraw() { if (this.plotted) this.begin(); }
}

export class Charts {
  samples = [];
  charts = [];

  constructor(host, none) {
    Object.assign(this, {host, none});
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.charts.forEach(c => c.redraw()));
  }

  add({anew, samples}) {
    this.samples = anew ? samples : this.samples.concat(samples);
    this.draw();
  }

  // quotas are the newest account; while there is none, what was drawn stays.
  account(quotas) {
    if (quotas?.length) this.quotas = quotas;
    this.draw();
  }

  draw() {
    this.none.hidden = !!this.quotas;
    this.quotas?.forEach((quota, nth) => {
      this.charts[nth] ??= new Chart(this.host);
      this.charts[nth].show(this.samples, nth, quota);
    });
  }
}
