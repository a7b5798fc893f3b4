// Objects of any kind that is watched, thousands of them too, one as it is, and events.

import { ago, badge, empty, h, heading, linkTo, moment, section } from "./dom.js";
import { rows, store } from "./live.js";
import { logs } from "./logs.js";

const KINDS = ["Pod", "Node", "Job", "CronJob", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Service", "Ingress", "PersistentVolumeClaim",
  "SparkApplication", "ScheduledSparkApplication", "Workflow", "WorkflowTemplate", "CronWorkflow", "Application"];
const ROW = 36, SPARE = 12;
const look = { word: "", warnings: false, top: 0 };

export function page([kind, namespace, name]) {
  if (name) {
    return { title: name, kinds: [kind], namespace: namespace === "-" ? "" : namespace, ask: `object/${kind}/${namespace}/${name}`, draw: (object, failure) => one(kind, namespace, name, object, failure) };
  }
  const chosen = KINDS.includes(kind) ? kind : "Pod";
  return { title: chosen, kinds: [chosen], draw: (_, __, redraw) => list(chosen, redraw) };
}

/** The page of events. */
export function events() {
  return { title: "Events", kinds: ["Event"], draw: (_, __, redraw) => happened(redraw) };
}

const search = (label, redraw) => h("input", {
  type: "search", placeholder: "Filter", "aria-label": label, value: look.word,
  oninput: (event) => {
    look.word = event.target.value;
    redraw();
  },
});

/** The filter matches any word of a row, in any order. */
function matching(all) {
  const words = look.word.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (row) => `${row.n} ${row.ns} ${row.s} ${row.m ?? ""} ${row.x?.kind ?? ""} ${row.x?.name ?? ""} ${row.x?.node ?? ""}`.toLowerCase();
  return words.length ? all.filter((row) => words.every((word) => text(row).includes(word))) : all;
}

/** Of many rows only those are elements that are seen. */
function many(label, head, all, cells, redraw) {
  const high = Math.min(all.length * ROW, Math.max(360, innerHeight - 230));
  const from = Math.max(0, Math.floor(look.top / ROW) - SPARE), to = Math.min(all.length, from + Math.ceil(high / ROW) + 2 * SPARE);
  const scrolled = (event) => {
    look.top = event.target.scrollTop;
    redraw();
  };
  const row = (one, at) => h("div", { class: "row", role: "row", "aria-rowindex": String(from + at + 2), "data-key": one.k + one.ns + one.n, css: { top: `${(from + at) * ROW}px` } },
    cells(one).map((cell) => h("div", { role: "cell" }, cell)));
  return h("div", { class: `grid c${head.length}`, role: "table", "aria-label": label, "aria-rowcount": String(all.length + 1) },
    h("div", { class: "row head", role: "row" }, head.map((one) => h("div", { role: "columnheader" }, one))),
    h("div", { class: "view", tabindex: "0", role: "rowgroup", onscroll: scrolled, css: { height: `${high}px` } }, h("div", { class: "all", css: { height: `${all.length * ROW}px` } }, all.slice(from, to).map(row))));
}

function list(kind, redraw) {
  const all = matching(rows(kind)).sort((a, b) => (a.c < b.c ? 1 : a.c > b.c ? -1 : a.n < b.n ? -1 : 1));
  const choose = (event) => {
    look.top = 0;
    location.hash = `#/objects/${event.target.value}`;
  };
  const cells = (row) => [h("a", { href: `#/objects/${row.k}/${row.ns || "-"}/${row.n}`, title: row.n }, row.n), row.s ? badge(row.t, row.s) : "", row.ns || "cluster", row.m ?? "", ago(row.c)];
  return [
    h("h1", {}, "Objects"),
    h("div", { class: "bar" }, h("select", { "aria-label": "Kind", onchange: choose }, KINDS.map((one) => h("option", { value: one, selected: one === kind }, one))), search("Filter objects", redraw),
      h("span", { class: "quiet", role: "status" }, `${all.length} of ${rows(kind).length}`)),
    !store.ready ? h("div", { class: "wait tall" }) : all.length ? many(kind, ["Name", "State", "Namespace", "", "Age"], all, cells, redraw)
      : empty(look.word ? "Nothing fits the filter" : `No objects of kind ${kind}`, store.refused[kind]),
  ];
}

function happened(redraw) {
  const when = (row) => moment(row.x.last ?? row.c) || 0;
  const all = matching(rows("Event").filter((row) => !look.warnings || row.t === "bad")).sort((a, b) => when(b) - when(a));
  const cells = (row) => [`${ago(row.x.last ?? row.c)} ago`, badge(row.t, row.s), h("a", { href: linkTo(row.x.kind, row.ns, row.x.name), title: row.x.name }, `${row.x.kind} ${row.x.name}`), h("span", { title: row.m }, row.m ?? ""), row.x.count > 1 ? `×${row.x.count}` : ""];
  const toggle = () => {
    look.warnings = !look.warnings;
    redraw();
  };
  return [
    h("h1", {}, "Events"),
    h("div", { class: "bar" }, search("Filter events", redraw), h("button", { type: "button", "aria-pressed": String(look.warnings), onclick: toggle }, "Warnings only"),
      h("span", { class: "quiet", role: "status" }, `${all.length} of ${rows("Event").length}`)),
    !store.ready ? h("div", { class: "wait tall" }) : all.length ? many("Events", ["When", "Reason", "About", "Message", "Times"], all, cells, redraw) : empty("No events", "Events are kept for an hour."),
  ];
}

function one(kind, namespace, name, object, failure) {
  const row = store.rows.get(kind)?.get(`${namespace === "-" ? "" : namespace}/${name}`);
  const head = heading(`#/objects/${kind}`, kind, namespace === "-" ? "" : namespace, name, row?.s ? badge(row.t, row.s) : null);
  if (failure) return [head, empty("This object cannot be shown", failure.message)];
  if (!object) return [head, h("div", { class: "wait tall" })];
  const containers = kind === "Pod" ? [...(object.spec.containers ?? []), ...(object.spec.initContainers ?? [])].map((each) => each.name) : [];
  return [
    head,
    row?.m ? h("p", { class: "message" }, row.m) : null,
    containers.length ? section("Log", logs(namespace, [{ name, containers }])) : null,
    section("Object", h("pre", { class: "json", tabindex: "0" }, JSON.stringify(object, null, 2))),
  ];
}
