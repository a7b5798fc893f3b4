// Drawing what panels of a dashboard show: series over time, single numbers, and heat maps; and how values are written.

import { bytes, h, span, table } from "./dom.js";

const COLOURS = 10;
const THRESHOLDS = { green: "var(--good)", red: "var(--bad)", blue: "var(--busy)", orange: "var(--fire)", yellow: "var(--fire)" };
const TIMES = [5, 10, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const TOLD = 12;
const CELL = 14;
const [TOP, RIGHT, BOTTOM] = [8, 10, 20];

const numbers = (values) => values.filter((value) => value !== null);
const last = (values) => values.findLast((value) => value !== null);
const colour = (at) => `var(--c${at % COLOURS})`;
/** Something to show. */
export const hasNumbers = (series) => series.some(({ values }) => values.some((value) => value !== null));

function short(value, decimals) {
  const size = Math.abs(value);
  if (size >= 1000) {
    const step = Math.min(4, Math.floor(Math.log10(size) / 3));
    return `${Number((value / 1000 ** step).toFixed(decimals ?? 2))} ${["", "K", "M", "G", "T"][step]}`;
  }
  if (decimals !== undefined) return value.toFixed(decimals);
  return String(Number(size >= 100 ? value.toFixed(1) : size >= 0.01 || !size ? value.toFixed(2) : value.toPrecision(2)));
}

function seconds(value, decimals) {
  const size = Math.abs(value);
  if (!size) return "0 s";
  for (const [below, times, unit] of [[1e-3, 1e6, "µs"], [1, 1e3, "ms"], [60, 1, "s"]]) {
    if (size < below) return `${short(value * times, decimals)} ${unit}`;
  }
  return span(value);
}

/** A value in its unit, as Grafana calls them. */
export function written(value, unit, decimals) {
  if (value === undefined || value === null) return "–";
  switch (unit) {
    case "bytes": return value < 0 ? `-${bytes(-value)}` : bytes(value);
    case "s": return seconds(value, decimals);
    case "ops": return `${short(value, decimals)} ops/s`;
    case "reqps": return `${short(value, decimals)} req/s`;
    case "percent": return `${short(value, decimals)} %`;
    case "percentunit": return `${short(value * 100, decimals)} %`;
    default: return short(value, decimals);
  }
}

/** The time of day, with seconds or the day where these tell times apart. */
function clock(time, step) {
  const date = new Date(time * 1000);
  const options = step >= 86400 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hour12: false, ...(step < 60 && { second: "2-digit" }) };
  return date.toLocaleString([], options);
}

/** Round values from `low` to `high` and beyond. */
function levels(low, high, unit) {
  const base = unit === "bytes" ? 1024 : 10;
  const rough = (high - low) / 4;
  const power = base ** Math.floor(Math.log(rough) / Math.log(base));
  const step = (unit === "bytes" ? [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] : [1, 2, 5, 10]).find((one) => one * power >= rough * 0.999) * power;
  const all = [];
  for (let at = Math.floor(low / step); all.length < 8; at++) {
    all.push(at * step);
    if (at * step >= high) break;
  }
  return all;
}

function times({ start, end }, most) {
  const step = TIMES.find((one) => (end - start) / one <= most) ?? 86400 * Math.ceil((end - start) / 86400 / most);
  const zone = new Date(start * 1000).getTimezoneOffset() * 60;
  const all = [];
  for (let at = Math.ceil((start - zone) / step) * step + zone; at <= end; at += step) all.push(at);
  return { all, step };
}

/** Each series upon those before it, where they are stacked: what it begins at and what it ends at. */
function stacked(series, stack) {
  const below = [];
  return series.map((one) => {
    const from = stack ? one.values.map((_, at) => below[at] ?? 0) : undefined;
    const to = stack ? one.values.map((value, at) => (value === null ? null : from[at] + value)) : one.values;
    if (stack) one.values.forEach((value, at) => (below[at] = from[at] + (value ?? 0)));
    return { ...one, from, to };
  });
}

/** Runs of points without a gap. */
function runs(values) {
  const all = [];
  let open;
  values.forEach((value, at) => {
    if (value === null) open = undefined;
    else if (open) open.push(at);
    else all.push((open = [at]));
  });
  return all;
}

/** What is beside the pointer, or where the arrow keys lead. */
function pointer(plot, tip, { points, x, inside, tell }) {
  let at;
  const show = (next) => {
    at = next;
    tip.hidden = at === undefined;
    plot.querySelector(".cursor")?.remove();
    if (at === undefined) return;
    const left = x(at), { top, height, width } = inside();
    plot.querySelector("svg").append(h("line", { class: "cursor", x1: left, x2: left, y1: top, y2: top + height }));
    tip.replaceChildren(...tell(at));
    const beyond = left + tip.offsetWidth + 20 > width;
    tip.style.left = `${Math.max(0, beyond ? left - tip.offsetWidth - 12 : left + 12)}px`;
  };
  const nearest = (event) => {
    const from = plot.getBoundingClientRect().left;
    const each = (x(points() - 1) - x(0)) / Math.max(1, points() - 1);
    return Math.min(points() - 1, Math.max(0, Math.round((event.clientX - from - x(0)) / each)));
  };
  const keys = { ArrowLeft: () => at - 1, ArrowRight: () => at + 1, PageUp: () => at - 10, PageDown: () => at + 10, Home: () => 0, End: () => points() - 1 };
  plot.addEventListener("pointermove", (event) => points() && show(nearest(event)));
  plot.addEventListener("pointerleave", () => show(undefined));
  plot.addEventListener("focus", () => points() && plot.matches(":focus-visible") && show(points() - 1));
  plot.addEventListener("blur", () => show(undefined));
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(undefined);
    if (!keys[event.key] || !points()) return;
    event.preventDefault();
    at ??= points() - 1;
    show(Math.min(points() - 1, Math.max(0, keys[event.key]())));
  });
  return () => show(at !== undefined && at < points() ? at : undefined);
}

/** A place to draw in, which is drawn anew when its size changes. */
function canvas(title, draw) {
  const tip = h("div", { class: "tip", "aria-live": "polite", hidden: true });
  const plot = h("div", { class: "plot", tabindex: "0", role: "group", "aria-label": `${title}: the arrow keys go through its values` }, h("svg", { "aria-hidden": "true" }), tip);
  new ResizeObserver(() => draw()).observe(plot);
  return { plot, tip, svg: plot.firstChild };
}

const row = (colour, name, value) => h("div", {}, h("i", { css: { background: colour } }), h("span", {}, name), h("b", {}, value));

function axes(svg, place, window, ticks) {
  const { left, top, width, height, x, y } = place;
  svg.append(h("g", { class: "axis-lines" }, ticks.map(([value, text]) => [
    h("line", { x1: left, x2: left + width, y1: y(value), y2: y(value) }),
    h("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, text),
  ])));
  const { all, step } = times(window, Math.max(2, width / 76));
  svg.append(h("g", { class: "axis-lines" }, all.map((time) => h("text", {
    x: Math.min(left + width - 14, Math.max(left + 14, x((time - window.start) / window.step))), y: top + height + 16, "text-anchor": "middle",
  }, clock(time, step)))));
}

/** Series over time. */
function timeseries(panel) {
  const { unit, decimals, min, custom = {} } = panel.fieldConfig.defaults;
  const off = new Set();
  let series = [], window, place;
  const points = () => series[0]?.values.length ?? 0;
  const { plot, tip, svg } = canvas(panel.title, () => draw());
  const legend = h("div", { class: "legend" });
  const tell = (at) => {
    const named = series.map((one, index) => [one.name, one.values[at], index]).filter(([name, value]) => value !== null && !off.has(name));
    named.sort((a, b) => b[1] - a[1]);
    const rows = named.slice(0, TOLD).map(([name, value, index]) => row(colour(index), name, written(value, unit, decimals)));
    const more = named.length > TOLD ? [h("p", {}, `and ${named.length - TOLD} more`)] : [];
    return [h("p", {}, clock(window.start + at * window.step, window.end - window.start > 86400 ? 86400 : 1)), ...(rows.length ? rows : [h("p", {}, "no number here")]), ...more];
  };
  const again = pointer(plot, tip, { points, x: (at) => place.x(at), inside: () => place, tell });
  const draw = () => {
    const [whole, high] = [plot.clientWidth, plot.clientHeight];
    if (!whole || !points()) return;
    const shown = stacked(series.map((one, index) => ({ ...one, index })).filter(({ name }) => !off.has(name)), custom.stacking?.mode === "normal");
    const all = shown.flatMap(({ to }) => numbers(to));
    const floor = Math.min(min ?? Infinity, ...all);
    const low = Number.isFinite(floor) ? floor : 0;
    const top = Math.max(...all, low);
    const grid = levels(low, top > low ? top : low + 1, unit);
    const ticks = grid.map((value) => [value, written(value, unit, decimals)]);
    const left = 14 + 6.4 * Math.max(...ticks.map(([, text]) => text.length));
    const [width, height] = [whole - left - RIGHT, high - TOP - BOTTOM];
    const [from, to] = [grid[0], grid.at(-1)];
    place = { left, top: TOP, width, height, x: (at) => left + (at / Math.max(1, points() - 1)) * width, y: (value) => TOP + height - ((value - from) / (to - from)) * height };
    svg.setAttribute("viewBox", `0 0 ${whole} ${high}`);
    svg.replaceChildren();
    axes(svg, place, window, ticks);
    for (const one of shown) svg.append(line(one, place, custom.fillOpacity ?? 0));
    again();
  };
  const offer = () => legend.replaceChildren(...series.map(({ name }, index) => {
    const toggle = () => {
      if (!off.delete(name)) off.add(name);
      legend.children[index].setAttribute("aria-pressed", String(!off.has(name)));
      draw();
    };
    return h("button", { type: "button", "aria-pressed": String(!off.has(name)), onclick: toggle, title: "Show or hide it" }, h("i", { css: { background: colour(index) } }), name);
  }));
  const show = (data, over) => {
    const named = data.series.map(({ name, values }) => ({ name: name || "value", values }));
    const changed = named.map(({ name }) => name).join("\n") !== series.map(({ name }) => name).join("\n");
    [series, window] = [named, over];
    if (changed) offer();
    draw();
  };
  return { element: h("div", { class: "chart" }, plot, legend), show };
}

function line({ to, from, index }, { x, y, top, height }, opacity) {
  const ground = (at) => (from ? y(from[at]) : top + height);
  const point = (at, value) => `${x(at).toFixed(1)} ${value.toFixed(1)}`;
  const [lines, areas, dots] = [[], [], []];
  for (const run of runs(to)) {
    if (run.length === 1) {
      dots.push(h("circle", { cx: x(run[0]), cy: y(to[run[0]]), r: 2.5, css: { fill: colour(index), stroke: "none" } }));
      continue;
    }
    const path = run.map((at) => point(at, y(to[at]))).join("L");
    lines.push(`M${path}`);
    areas.push(`M${path}L${run.toReversed().map((at) => point(at, ground(at))).join("L")}Z`);
  }
  return h("g", { css: { stroke: colour(index) } },
    h("path", { d: areas.join(""), css: { fill: colour(index), "fill-opacity": String(opacity / 100), stroke: "none" } }),
    h("path", { class: "series", d: lines.join("") }), dots);
}

/** The last number of each series, and how it came to be. */
function stat(panel) {
  const { unit, decimals, thresholds } = panel.fieldConfig.defaults;
  const element = h("div", { class: "numbers" });
  const tone = (value) => THRESHOLDS[(thresholds?.steps ?? []).findLast((step) => step.value === null || value >= step.value)?.color] ?? "var(--ink)";
  const show = ({ series }) => {
    const told = series.filter(({ values }) => hasNumbers([{ values }])).map(({ name, values }) => {
      const value = last(values);
      const [low, high] = [Math.min(...numbers(values)), Math.max(...numbers(values))];
      const at = (index) => `${((index / Math.max(1, values.length - 1)) * 100).toFixed(1)} ${(26 - ((values[index] - low) / (high - low || 1)) * 22).toFixed(1)}`;
      const area = runs(values).filter((run) => run.length > 1).map((run) => `M${run.map(at).join("L")}L${at(run.at(-1)).split(" ")[0]} 30L${at(run[0]).split(" ")[0]} 30Z`);
      return h("div", { class: "stat-value", css: { color: tone(value) } }, h("b", {}, written(value, unit, decimals)), name && h("span", { class: "quiet" }, name),
        panel.options?.graphMode === "area" && high > low && h("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" }, h("path", { d: area.join("") })));
    });
    element.replaceChildren(...told);
  };
  return { element, show };
}

/** How many fell into each bucket, from the counts of all buckets up to it. */
function buckets(series, cells, points) {
  const edge = ({ name }) => (name === "+Inf" ? Infinity : Number(name));
  const sorted = series.toSorted((a, b) => edge(a) - edge(b));
  const per = points / cells;
  const within = (values, cell) => numbers(values.slice(Math.floor(cell * per), Math.floor((cell + 1) * per))).reduce((sum, one) => sum + one, 0);
  const sums = sorted.map(({ values }) => Array.from({ length: cells }, (_, cell) => within(values, cell)));
  return sorted.map((one, at) => ({ edge: edge(one), counts: sums[at].map((sum, cell) => Math.max(0, sum - (sums[at - 1]?.[cell] ?? 0))) }));
}

/** Buckets over time: the more fell into one, the stronger its colour. */
function heatmap(panel) {
  const { unit, decimals } = panel.fieldConfig.defaults;
  let series = [], window, rows = [], cells = 0, place;
  const { plot, tip, svg } = canvas(panel.title, () => draw());
  const name = ({ edge }) => (edge === Infinity ? "more" : `≤ ${written(edge, unit, decimals)}`);
  const tell = (at) => {
    const told = rows.filter(({ counts }) => counts[at] > 0).toReversed().map((one) => row("var(--fire)", name(one), short(one.counts[at])));
    const time = window.start + ((at + 0.5) / cells) * (window.end - window.start);
    return [h("p", {}, clock(time, 1)), ...(told.length ? told : [h("p", {}, "nothing here")])];
  };
  const again = pointer(plot, tip, { points: () => cells, x: (at) => place.x(at + 0.5), inside: () => place, tell });
  const draw = () => {
    const [whole, high] = [plot.clientWidth, plot.clientHeight];
    const points = series[0]?.values.length ?? 0;
    if (!whole || !points) return;
    const left = 14 + 6.4 * Math.max(...series.map((one) => name({ edge: one.name === "+Inf" ? Infinity : Number(one.name) }).length));
    const [width, height] = [whole - left - RIGHT, high - TOP - BOTTOM];
    cells = Math.max(1, Math.min(points, Math.floor(width / CELL)));
    rows = buckets(series, cells, points);
    const each = height / rows.length;
    place = { left, top: TOP, width, height, x: (at) => left + (at / cells) * width, y: (at) => TOP + height - (at + 0.5) * each };
    svg.setAttribute("viewBox", `0 0 ${whole} ${high}`);
    const most = Math.max(1e-9, ...rows.flatMap(({ counts }) => counts));
    const filled = rows.flatMap(({ counts }, at) => counts.map((count, cell) => count > 0 && h("rect", {
      x: place.x(cell) + 0.5, y: place.y(at) - each / 2 + 0.5, width: width / cells - 1, height: Math.max(1, each - 1), rx: 1,
      css: { fill: "var(--fire)", "fill-opacity": String(0.15 + (0.85 * count) / most) },
    })));
    svg.replaceChildren(h("g", {}, filled));
    const over = (at) => place.x((at * window.step * cells) / Math.max(1, window.end - window.start));
    axes(svg, { ...place, x: over }, window, rows.map((one, at) => [at, name(one)]));
    again();
  };
  const show = (data, over) => {
    [series, window] = [data.series.filter((one) => one.name), over];
    draw();
  };
  return { element: h("div", { class: "chart" }, plot), show };
}

/** Whatever else: the last number of each series. */
function listed(panel) {
  const { unit, decimals } = panel.fieldConfig.defaults;
  const element = h("div", { class: "numbers" });
  const show = ({ series }) => element.replaceChildren(table(panel.title, ["Series", "Value"], series.map(({ name, values }) => ({ key: name, cells: [name, written(last(values), unit, decimals)] }))));
  return { element, show };
}

/** What draws a panel: its element, and `show` for what came to its queries within a window. */
export const drawn = (panel) => ({ timeseries, stat, heatmap }[panel.type] ?? listed)(panel);
