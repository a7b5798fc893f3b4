// The whole platform at a glance.

import { act, ago, badge, empty, h, linkTo, section, table, took } from "./dom.js";
import { rows, store } from "./live.js";

const TILES = [
  ["Nodes", "Node", "#/objects/Node"], ["Applications", "Application", "#/apps"], ["Spark jobs", "SparkApplication", "#/jobs"],
  ["Workflows", "Workflow", "#/workflows"], ["Jobs", "Job", "#/objects/Job"], ["Pods", "Pod", "#/objects/Pod"],
];
const TONES = ["good", "busy", "bad", "calm"];
const WORDS = ["well", "under way", "not well", "at rest"];
const KINDS = ["Node", "Application", "SparkApplication", "Driver", "Workflow", "Deployment", "StatefulSet"];

export function page() {
  return { title: "Overview", kinds: KINDS, ask: "explain/all", draw };
}

function tile([label, kind, href]) {
  const counts = store.counts[kind] ?? [0, 0, 0, 0];
  const total = counts.reduce((sum, one) => sum + one, 0);
  const parts = counts.map((count, at) => [count, at]).filter(([count]) => count);
  const told = parts.map(([count, at]) => `${count} ${WORDS[at]}`).join(", ");
  return h("a", { class: "tile", href, "data-key": kind },
    h("span", { class: "label" }, label),
    h("span", { class: "number" }, store.ready ? String(total) : "–"),
    h("span", { class: "bar", "aria-hidden": "true" }, parts.map(([count, at]) => h("i", { class: TONES[at], css: { "flex-grow": String(count) } }))),
    h("span", { class: "told" }, told || (store.refused[kind] ? "not here" : "none")));
}

/** A cause as `explain` tells it. */
export function cause(told) {
  const { cause: why } = told;
  if (!why) return null;
  const list = (title, lines) => lines?.length ? [h("p", { class: "label" }, title), h("ul", {}, lines.map((line) => h("li", {}, line)))] : [];
  return h("article", { class: "cause", "data-key": `${told.kind}/${told.namespace}/${told.name}` },
    h("p", { class: "strong" }, h("a", { href: linkTo(told.kind, told.namespace, told.name) }, `${told.kind} ${told.name}`),
      told.namespace && h("span", { class: "quiet" }, ` in ${told.namespace}`), told.state && h("span", { class: "quiet" }, ` · ${told.state}`)),
    h("p", {}, `${why.object.kind} ${why.object.name}: ${why.what}`),
    h("details", {}, h("summary", {}, "What shows it, and what to change"), list("What shows it", why.evidence), list("What to change", why.change)));
}

function draw(answer, failure) {
  const causes = (answer ?? []).map(cause).filter(Boolean);
  const attention = failure ? empty("This cannot be told", failure.message)
    : !answer ? h("div", { class: "wait" })
      : causes.length ? h("div", { class: "causes" }, causes) : empty("Nothing waits or fails", "What is not well is explained here.");
  const apps = rows("Application").map((row) => ({
    key: row.ns + row.n,
    cells: [
      h("a", { href: linkTo("Application", row.ns, row.n) }, row.n), badge(row.t, row.x.health), row.x.sync,
      h("code", {}, (row.x.revision ?? "").slice(0, 12)), row.x.source ?? "",
      act("Sync", { act: "sync", kind: "Application", namespace: row.ns, name: row.n }),
    ],
  }));
  const parts = [...rows("Deployment"), ...rows("StatefulSet")].map((row) => ({
    key: row.k + row.ns + row.n, cells: [h("a", { href: linkTo(row.k, row.ns, row.n) }, row.n), badge(row.t, row.s), row.ns, ago(row.c)],
  }));
  const nodes = rows("Node").map((row) => ({
    key: row.n, cells: [h("a", { href: linkTo("Node", "", row.n) }, row.n), badge(row.t, row.s), `${row.x.cpu} CPU`, memory(row.x.memory), ago(row.c)],
  }));
  const runs = [...rows("SparkApplication"), ...rows("Driver"), ...rows("Workflow")].sort((a, b) => (a.c < b.c ? 1 : -1)).slice(0, 8).map((row) => ({
    key: row.k + row.ns + row.n,
    cells: [h("a", { href: linkTo(row.k, row.ns, row.n) }, row.n), badge(row.t, row.s), row.k === "Workflow" ? "workflow" : "Spark", row.ns,
      took(row.x.start ?? row.c, row.x.end), `${ago(row.c)} ago`],
  }));
  return [
    h("h1", {}, "Overview"),
    h("div", { class: "tiles" }, TILES.map(tile)),
    section("Needs attention", attention),
    section("Latest runs", !store.ready ? h("div", { class: "wait" }) : runs.length ? table("Latest runs", ["Name", "State", "Kind", "Namespace", "Took", "Begun"], runs)
      : empty("No runs yet", "Submit one with cargo xtask run hello-spark-operator, or run a workflow template.")),
    apps.length ? section("Parts", table("Applications", ["Application", "Health", "Sync", "Revision", "Source", ""], apps)) : null,
    parts.length ? section(apps.length ? "Workloads" : "Parts", table("Parts", ["Part", "State", "Namespace", "Age"], parts)) : null,
    section("Nodes", store.ready ? table("Nodes", ["Node", "State", "Processors", "Memory", "Age"], nodes) : h("div", { class: "wait" })),
  ];
}

function memory(text) {
  const kib = /^(\d+)Ki$/.exec(text ?? "");
  return kib ? `${(kib[1] / 1048576).toFixed(1)} GiB` : (text ?? "");
}
