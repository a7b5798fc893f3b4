// The dashboards that Grafana loads, from the same files, with what Prometheus says to their queries.

import { ask, empty, h, kept } from "./dom.js";
import { drawn, hasNumbers } from "./charts.js";

const KINDS = ["Node"];
const RANGES = [[300, "Last 5 minutes"], [900, "Last 15 minutes"], [1800, "Last 30 minutes"], [3600, "Last hour"], [10800, "Last 3 hours"], [21600, "Last 6 hours"], [43200, "Last 12 hours"], [86400, "Last 24 hours"]];
const PAUSES = [[0, "Off"], [5, "5 s"], [10, "10 s"], [30, "30 s"], [60, "1 m"], [300, "5 m"]];
/** How long until a Prometheus that was missing is asked again. */
const PATIENCE = 5000;
const UPSTREAM_ONLY = "Upstream only: ";

const boards = new Map();
/** The time that is shown, and the pause between two looks: the same on every dashboard, once chosen. */
const chosen = { range: undefined, pause: undefined };

await new Promise((done) => document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: "dashboards.css", onload: done, onerror: done })));

export function page([uid]) {
  if (!uid) return { title: "Dashboards", kinds: KINDS, ask: "dashboards", draw: list };
  if (!boards.has(uid)) boards.set(uid, board(uid));
  const one = boards.get(uid);
  one.look();
  return { title: one.title(), kinds: KINDS, draw: () => [kept(`board-${uid}`, one.element)], poll: one.look };
}

function list(answer, failure) {
  const card = ({ uid, title, description }) => h("a", { class: "card dashboard", href: `#/dashboards/${uid}`, "data-key": uid }, h("span", { class: "strong" }, title), h("span", { class: "quiet" }, description));
  return [
    h("h1", {}, "Dashboards"),
    failure ? empty("The dashboards cannot be told", failure.message) : answer ? h("div", { class: "cards" }, answer.map(card)) : h("div", { class: "wait" }),
  ];
}

const parsed = (text) => {
  const found = /^(?:now-)?(\d+)([smhd])$/.exec(text ?? "");
  return found ? found[1] * { s: 1, m: 60, h: 3600, d: 86400 }[found[2]] : undefined;
};

/** A choice under its name. */
function choice(label, name, options, value, onchange) {
  const select = h("select", { name, onchange: () => onchange(select.value) });
  const offer = (all, now) => {
    if ([...select.options].map((one) => one.value).join("\n") !== all.map(([one]) => one).join("\n")) {
      select.replaceChildren(...all.map(([one, text]) => h("option", { value: String(one) }, text)));
    }
    select.value = String(now);
  };
  offer(options, value);
  return { element: h("label", {}, h("span", {}, label), select), offer };
}

/** One dashboard: its parts stay, and what they show is asked for anew. */
function board(uid) {
  const element = h("div", { class: "board", "data-keep": `board-${uid}` }, h("h1", {}, "Dashboards"), h("div", { class: "wait tall" }));
  const told = h("span", { class: "told", role: "status" });
  const state = { file: undefined, wanted: new Map(), variables: new Map(), panels: new Map(), due: 0, asking: undefined };
  let controls, grid, notice;

  const look = () => {
    if (state.asking || (Date.now() < state.due && (!state.file || state.shown === range()))) return;
    if (state.file) load();
    else open();
  };
  const open = async () => {
    state.asking = new AbortController();
    try {
      state.file = await ask(`dashboards/${uid}`);
      build(state.file);
    } catch (error) {
      element.replaceChildren(h("h1", {}, "Dashboards"), empty(`The dashboard ${uid} cannot be shown`, error.message));
    }
    state.asking = undefined;
    state.due = state.file ? 0 : Date.now() + PATIENCE;
    if (state.file) load();
  };
  const load = async () => {
    state.asking?.abort();
    const mine = (state.asking = new AbortController());
    state.shown = range();
    state.due = pause() ? Date.now() + pause() * 1000 : Infinity;
    grid.setAttribute("aria-busy", "true");
    const asked = new URLSearchParams([["range", range()], ...[...state.wanted].map(([name, value]) => [`var-${name}`, value])]);
    try {
      take(await ask(`dashboards/${uid}/data?${asked}`, mine.signal));
    } catch (error) {
      if (error.name === "AbortError") return;
      say(empty("Prometheus cannot be asked", error.message));
    }
    state.asking = undefined;
    grid.setAttribute("aria-busy", "false");
  };
  const range = () => chosen.range ?? parsed(state.file.time?.from) ?? 1800;
  const pause = () => chosen.pause ?? parsed(state.file.refresh) ?? 0;
  const say = (what) => {
    notice.replaceChildren(...(what ? [what] : []));
    grid.hidden = Boolean(what);
    if (what) told.textContent = "";
  };

  const build = (file) => {
    const over = choice("Time", "range", RANGES, range(), (value) => {
      chosen.range = Number(value);
      load();
    });
    const often = choice("Refresh", "refresh", PAUSES, pause(), (value) => {
      chosen.pause = Number(value);
      load();
    });
    state.chosen = [() => over.offer(RANGES, range()), () => often.offer(PAUSES, pause())];
    controls = h("div", { class: "controls" }, over.element, often.element, h("button", { type: "button", onclick: load }, "Ask now"), told);
    const near = (file.links ?? []).map(({ title, url }) => [title, /^\/d\/([\w-]+)/.exec(url)?.[1]]).filter(([, to]) => to);
    const tabs = h("nav", { class: "tabs", "aria-label": "Dashboards" }, near.map(([title, to]) => h("a", { href: `#/dashboards/${to}`, "aria-current": to === uid ? "page" : undefined }, title)));
    notice = h("div", {});
    const panels = file.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
    panels.sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
    grid = h("div", { class: "panels" }, panels.map(place));
    element.replaceChildren(h("header", { class: "head" }, h("div", {}, h("p", { class: "crumb" }, h("a", { href: "#/dashboards" }, "Dashboards")), h("h1", {}, file.title), h("p", { class: "quiet" }, file.description ?? ""))), tabs, controls, notice, grid);
  };
  const place = (panel) => {
    const css = Object.fromEntries(Object.entries(panel.gridPos).map(([name, value]) => [`--${name}`, String(value)]));
    if (panel.type === "row") return h("h2", { class: "row-title", css }, panel.title);
    const upstream = panel.description?.startsWith(UPSTREAM_ONLY);
    const about = upstream ? panel.description.slice(UPSTREAM_ONLY.length) : panel.description;
    const body = h("div", { class: "body" }, upstream ? h("p", { class: "message-quiet" }, h("span", { class: "badge calm" }, "Upstream only"), " No part that runs here tells this.") : h("div", { class: "wait" }));
    if (!upstream) state.panels.set(String(panel.id), { body, drawing: drawn(panel) });
    return h("section", { class: `panel ${panel.type}${upstream ? " upstream" : ""}`, css, "aria-label": panel.title, "data-panel": String(panel.id) },
      h("h3", {}, panel.title), h("p", { class: "about", title: about }, about), body);
  };

  const take = (answer) => {
    state.chosen.forEach((update) => update());
    if (answer.missing) {
      state.due = Date.now() + PATIENCE;
      return say(lack(answer.missing));
    }
    say();
    answer.variables.forEach(vary);
    for (const [id, { body, drawing }] of state.panels) fill(body, drawing, answer.panels[id], answer);
    told.textContent = `as of ${new Date(answer.end * 1000).toLocaleTimeString([], { hour12: false })}`;
  };
  const vary = ({ name, label, options, includesAll, chosen: values }) => {
    const all = [...new Set([...values, ...options])].sort();
    const offered = [...(includesAll ? [["", "All"]] : []), ...all.map((one) => [one, one])];
    const known = state.variables.get(name);
    if (known) return known.offer(offered, values[0] ?? "");
    const made = choice(label, `var-${name}`, offered, values[0] ?? "", (value) => {
      if (value) state.wanted.set(name, value);
      else state.wanted.delete(name);
      load();
    });
    state.variables.set(name, made);
    controls.insertBefore(made.element, controls.children[state.variables.size - 1]);
  };
  return { element, look, title: () => state.file?.title ?? "Dashboards" };
}

/** Puts what came to a panel into it, or why nothing did. */
function fill(body, drawing, answer, window) {
  const message = (text) => body.replaceChildren(h("p", { class: "message-quiet" }, text));
  if (!answer || answer.error) return message(answer?.error ?? "Nothing was asked.");
  if (!hasNumbers(answer.series)) return message("No data in this time.");
  const more = answer.more ? [h("p", { class: "told" }, `and ${answer.more} more series`)] : [];
  if (body.firstChild !== drawing.element || body.children.length !== 1 + more.length) body.replaceChildren(drawing.element, ...more);
  drawing.show(answer, window);
}

/** What is missing where there is no Prometheus, and what brings it. */
function lack({ absent, service, why, brings }) {
  const title = absent ? "There is no Prometheus in this cluster" : "Prometheus does not answer";
  return h("div", { class: "empty" },
    h("p", { class: "strong" }, title),
    h("p", {}, `Dashboards ask the Service ${service}: ${why}.`),
    absent ? h("p", {}, h("code", {}, brings), " brings it. This page asks again by itself.") : h("p", {}, "It may still be starting. This page asks again by itself."));
}
