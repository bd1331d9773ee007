"use strict";
// What folds, the ledger's filters, the search for an architecture, and the plot. What is statistics comes with the data.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const ACCURACY = "test accuracy (%)";
const FOUND_AT_MOST = 20;
let chosen = null; // {space, index}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function shown(value) {
  if (value === null) return "none";
  const [size, rounded] = [Math.abs(value), Number(value.toPrecision(5))];
  return size !== 0 && (size >= 1e6 || size < 1e-3) ? rounded.toExponential() : String(rounded);
}

// --- what folds

function unfold(link) {
  for (let each = byId(decodeURIComponent(link.slice(1))); each; each = each.parentElement) if ("open" in each) each.open = true;
}

function unfoldAll() {
  for (const each of document.querySelectorAll("main details")) each.open = true;
}

// --- the ledger

function filterLedger() {
  const verdict = byId("ledger-verdict").value;
  const source = byId("ledger-source").value;
  const words = byId("ledger-text").value.toLowerCase().split(/\s+/);
  const rows = [...byId("ledger-table").tBodies[0].rows];
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    const fits = (!verdict || row.dataset.verdict === verdict) && (!source || row.dataset.source === source);
    row.hidden = !(fits && words.every((word) => text.includes(word)));
  }
  byId("ledger-count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} claims`;
}

// --- the search

const everyArchitecture = Object.entries(data.architectures).flatMap(([space, strings]) =>
  Object.entries(strings).map(([index, string]) => ({ space, index, string })));

function search(text) {
  if (!text) return [];
  if (!/^\d+$/.test(text)) return everyArchitecture.filter(({ string }) => string.includes(text));
  const begins = everyArchitecture.filter(({ index }) => index.startsWith(text));
  return begins.sort((one, other) => one.index.length - other.index.length || one.index - other.index);
}

function showFound() {
  const text = byId("search-text").value.trim();
  const found = search(text);
  const more = found.length > FOUND_AT_MOST ? `, the first ${FOUND_AT_MOST} shown` : "";
  byId("search-count").textContent = text && `${found.length} of ${everyArchitecture.length} architectures${more}`;
  byId("search-found").replaceChildren(...found.slice(0, FOUND_AT_MOST).map((each) => {
    const button = element("button", { type: "button" }, `${each.index} ${each.string}`);
    button.addEventListener("click", () => choose(each));
    return element("li", {}, button);
  }));
}

// --- one architecture

function choose({ space, index }) {
  chosen = { space, index };
  const string = data.architectures[space][index];
  const sweeps = data.sweeps.filter((sweep) => sweep.space === space && sweep.indices.includes(index));
  byId("detail").replaceChildren(
    element("h3", {}, `Architecture ${index} of ${space}`),
    element("p", {}, element("code", {}, string)),
    ...sweeps.map((sweep) => scoresOf(sweep, sweep.indices.indexOf(index))));
  markChosen();
}

function scoresOf(sweep, place) {
  const accuracy = sweep.accuracy[place];
  const lines = [[ACCURACY, sweep.accuracy], ...sweep.methods.map((method) => [method.name, method.scores])];
  const rows = lines.map(([name, values]) => element("tr", {},
    element("th", { scope: "row" }, name),
    element("td", { class: "number" }, shown(values[place])),
    element("td", { class: "number" }, rank(values, place))));
  const head = element("tr", {}, ...["method", "score", "rank"].map((name, column) =>
    element("th", column ? { scope: "col", class: "number" } : { scope: "col" }, name)));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  const link = sweep.name.includes("/") ? sweep.name  // whose account is not on the page
    : element("a", { href: `#sweep-${sweep.name}` }, sweep.name);
  const details = element("details", {},
    element("summary", {}, `${sweep.name}: test accuracy ${shown(accuracy)}%, ${sweep.methods.length} scores`),
    element("p", { class: "quiet" }, `${sweep.dataset}, ${sweep.preset}, sweep `, link),
    element("div", { class: "scroll", role: "group", tabindex: "0", "aria-label": `Scores in ${sweep.name}` }, table));
  details.open = sweep === plotted();
  return details;
}

function rank(values, place) {
  if (values[place] === null) return "";
  const known = values.filter((value) => value !== null);
  const above = known.filter((value) => value > values[place]).length;
  const equal = known.filter((value) => value === values[place]).length;
  return `${above + (equal + 1) / 2} of ${known.length}`;  // equal ones share their mean rank
}

// --- the plot

const plotted = () => data.sweeps[byId("scatter-sweep").value];

function quantity(select) {
  const sweep = plotted();
  const place = byId(select).value;
  return place === "" ? { name: ACCURACY, values: sweep.accuracy, place: null }
    : { name: sweep.methods[place].name, values: sweep.methods[place].scores, place: Number(place) };
}

function offerMethods() {
  for (const [select, first] of [["scatter-x", ""], ["scatter-y", "0"]]) {
    byId(select).replaceChildren(element("option", { value: "" }, ACCURACY),
      ...plotted().methods.map((method, place) => element("option", { value: place }, method.name)));
    byId(select).value = first;
  }
}

function statistics(x, y) {
  const sweep = plotted();
  const n = x.values.filter((value, place) => value !== null && y.values[place] !== null).length;
  const places = [x.place, y.place].filter((place) => place !== null);
  if (places.length === 2) {
    return `Spearman between the two scores ${shown(sweep.pairs[x.place][y.place])}, without an interval; n = ${n}.`;
  }
  if (!places.length) return `Test accuracy of ${n} architectures.`;
  const { spearman, low, high, out } = sweep.methods[places[0]];
  if (spearman === null) return `No correlation is known; n = ${n}.`;
  const interval = low === null ? "" : ` (95% bootstrap interval ${low.toFixed(2)}..${high.toFixed(2)})`;
  const without = out ? `; ${out} without a score are not drawn` : "";
  return `Spearman ${spearman.toFixed(2)}${interval}; n = ${n}${without}. ${sweep.dataset}, ${sweep.preset} preset.`;
}

function ranksOf(values) {
  return values.map((value, place) => value === null ? null : parseInt(rank(values, place), 10));
}

// How a quantity lies on an axis: a share of the axis' length, and the values to mark. Ranks run down to 1.
function axis(values, asRanks) {
  const known = values.filter((value) => value !== null);
  let [low, high] = [Math.min(...known), Math.max(...known)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const logarithmic = !asRanks && low > 0 && high / low > 1000;
  const scale = logarithmic ? Math.log10 : (value) => value;
  const [from, to] = asRanks ? [high, low] : [scale(low), scale(high)];
  return { logarithmic, at: (value) => 0.03 + 0.94 * (scale(value) - from) / (to - from), ticks: ticks(low, high, logarithmic) };
}

function ticks(low, high, logarithmic) {
  if (logarithmic) {
    const [from, to] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
    const step = Math.ceil((to - from + 1) / 6);
    return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => 10 ** (from + i * step));
  }
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step); tick * step <= high; tick++) found.push(tick * step);
  return found;
}

function plot() {
  const [x, y] = [quantity("scatter-x"), quantity("scatter-y")];
  const asRanks = byId("scatter-ranks").checked;
  byId("scatter-statistics").textContent = statistics(x, y);
  const [across, upward] = [x, y].map(({ values }) => asRanks ? ranksOf(values) : values);
  const points = plotted().indices
    .map((index, place) => ({ index, x: across[place], y: upward[place] }))
    .filter((point) => point.x !== null && point.y !== null);
  byId("scatter").replaceChildren();
  if (points.length) byId("scatter").append(picture(points, x.name, y.name, asRanks));
  markChosen();
}

function picture(points, nameOfX, nameOfY, asRanks) {
  const width = Math.max(byId("scatter").clientWidth, 280);
  const height = Math.min(520, Math.max(300, width * 0.6));
  const [left, right, top, bottom] = [62, 14, 34, 48];
  const [onX, onY] = [axis(points.map((point) => point.x), asRanks), axis(points.map((point) => point.y), asRanks)];
  const xAt = (value) => left + onX.at(value) * (width - left - right);
  const yAt = (value) => height - bottom - onY.at(value) * (height - top - bottom);
  const label = `${nameOfY} against ${nameOfX}, ${points.length} architectures`;
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label });
  const axes = drawn("g", { "aria-hidden": "true" });
  for (const tick of onX.ticks) {
    axes.append(drawn("line", { class: "grid", x1: xAt(tick), x2: xAt(tick), y1: top, y2: height - bottom }));
    axes.append(drawn("text", { x: xAt(tick), y: height - bottom + 18, "text-anchor": "middle" }, shown(tick)));
  }
  for (const tick of onY.ticks) {
    axes.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: yAt(tick), y2: yAt(tick) }));
    axes.append(drawn("text", { x: left - 8, y: yAt(tick) + 4, "text-anchor": "end" }, shown(tick)));
  }
  const named = (name, on) => `${name}${asRanks ? ", rank" : on.logarithmic ? ", log scale" : ""}`;
  axes.append(drawn("text", { x: width - right, y: height - 10, "text-anchor": "end" }, `${named(nameOfX, onX)} →`));
  axes.append(drawn("text", { x: 10, y: 20 }, `↑ ${named(nameOfY, onY)}`));
  const list = drawn("g", { role: "listbox", tabindex: 0, "aria-label": `${label}; the arrow keys go to the next` });
  for (const point of points) {
    [point.cx, point.cy] = [xAt(point.x), yAt(point.y)];
    point.label = `architecture ${point.index}: ${nameOfX} ${shown(point.x)}, ${nameOfY} ${shown(point.y)}`;
    list.append(drawn("circle", {
      id: `point-${point.index}`, r: points.length > 300 ? 3 : 4.5, cx: point.cx.toFixed(1), cy: point.cy.toFixed(1),
      role: "option", "aria-selected": "false", "aria-label": point.label,
    }));
  }
  svg.append(axes, list);
  svg.addEventListener("click", (event) => pick(points, nearest(points, svg, event)));
  list.addEventListener("keydown", (event) => move(points, event));
  return svg;
}

function nearest(points, svg, event) {
  const box = svg.getBoundingClientRect();
  const away = ({ cx, cy }) => Math.hypot(cx - event.clientX + box.left, cy - event.clientY + box.top);
  return points.reduce((best, point) => (away(point) < away(best) ? point : best));
}

function move(points, event) {
  const key = event.key.startsWith("Arrow") ? event.key.slice(5) : event.key;
  if (!["Left", "Right", "Up", "Down", "Home", "End"].includes(key)) return;
  event.preventDefault();
  const upward = key === "Up" || key === "Down";
  const order = [...points].sort((one, other) => upward ? other.cy - one.cy : one.cx - other.cx);
  const here = order.findIndex((point) => point.index === chosen?.index);
  const last = order.length - 1;
  const to = { Home: 0, End: last }[key] ?? here + (key === "Right" || key === "Up" ? 1 : -1);
  pick(points, order[Math.min(Math.max(to, 0), last)]);
}

function pick(points, point) {
  choose({ space: plotted().space, index: point.index });
  byId("chosen").textContent = point.label;
}

function markChosen() {
  const list = document.querySelector("#scatter [role=listbox]");
  if (!list) return;
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  list.removeAttribute("aria-activedescendant");
  const point = chosen && chosen.space === plotted().space && byId(`point-${chosen.index}`);
  if (!point) return;
  point.setAttribute("aria-selected", "true");
  list.append(point); // above the others
  list.setAttribute("aria-activedescendant", point.id);
}

// --- what listens

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link) unfold(link.getAttribute("href"));
});
byId("unfold").hidden = false;
byId("unfold").addEventListener("click", unfoldAll);
if (location.hash) {
  unfold(location.hash);
  byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}
for (const id of ["ledger-verdict", "ledger-source", "ledger-text"]) byId(id).addEventListener("input", filterLedger);
byId("search-text").addEventListener("input", showFound);
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("submit", () => byId("search-found").querySelector("button")?.click());
if (data.sweeps.length) {
  const datasets = Map.groupBy(data.sweeps.keys(), (place) => data.sweeps[place].dataset);
  byId("scatter-sweep").append(...[...datasets].map(([label, places]) => element("optgroup", { label },
    ...places.map((value) => element("option", { value }, `${data.sweeps[value].name}, ${data.sweeps[value].indices.length} architectures`)))));
  byId("scatter-sweep").addEventListener("input", () => { offerMethods(); plot(); });
  for (const id of ["scatter-x", "scatter-y", "scatter-ranks"]) byId(id).addEventListener("input", plot);
  offerMethods();
  new ResizeObserver(() => plot()).observe(byId("scatter-controls"));
}
