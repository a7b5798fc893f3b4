// Applications: all of them, and one as the tree of its objects. Graphs are drawn here, those of workflows too.

import { act, ago, badge, empty, facts, h, heading, linkTo, section, table } from "./dom.js";
import { rows, store } from "./live.js";

const WIDE = 190, HIGH = 50, ASIDE = 26, BETWEEN = 44;
const HEALTH = { Healthy: "good", Progressing: "busy", Degraded: "bad", Missing: "bad", Suspended: "calm" };

export function page([namespace, name]) {
  if (!name) return { title: "Applications", kinds: ["Application"], draw: list };
  return { title: name, kinds: ["Application"], ask: `tree/${namespace}/${name}`, draw: (answer, failure) => one(namespace, name, answer, failure) };
}

const wish = (act, namespace, name) => ({ act, kind: "Application", namespace, name });

function list() {
  const all = rows("Application").map((row) => ({
    key: row.ns + row.n,
    cells: [h("a", { href: linkTo("Application", row.ns, row.n) }, row.n), badge(row.t, row.x.health), row.x.sync, h("code", {}, (row.x.revision ?? "").slice(0, 16)),
      row.x.source ?? "", row.x.to ?? "", row.x.last ? `${ago(row.x.last)} ago` : "", act("Sync", wish("sync", row.ns, row.n))],
  }));
  const none = store.refused.Application ? empty("This cluster has no applications", store.refused.Application)
    : empty("No applications", "What Argo CD or its builtin counterpart syncs is here.");
  return [h("h1", {}, "Applications"), !store.ready ? h("div", { class: "wait" })
    : all.length ? table("Applications", ["Name", "Health", "Sync", "Revision", "Source", "Namespace", "Synced", ""], all) : none];
}

function one(namespace, name, answer, failure) {
  const row = store.rows.get("Application")?.get(`${namespace}/${name}`);
  const buttons = h("div", { class: "buttons" }, act("Refresh", wish("refresh", namespace, name)), act("Sync", wish("sync", namespace, name), { primary: true }));
  const head = heading("#/apps", "Applications", namespace, name,
    row ? [badge(row.t, row.x.health), badge(row.x.sync === "Synced" ? "good" : row.x.sync === "OutOfSync" ? "busy" : "calm", row.x.sync)] : null, buttons);
  if (failure) return [head, empty("This application cannot be shown", failure.message)];
  if (!answer) return [head, h("div", { class: "wait tall" })];
  const { spec, status = {} } = answer.object;
  const operation = status.operationState ?? {};
  const known = [["Source", spec.source?.path ?? spec.source?.repoURL], ["Target", spec.source?.targetRevision || "HEAD"], ["Revision", status.sync?.revision],
    ["To", spec.destination?.namespace], ["Last sync", operation.phase && `${operation.phase}${operation.finishedAt ? ` ${ago(operation.finishedAt)} ago` : ""}`],
    ["By itself", spec.syncPolicy?.automated ? "yes" : "no"]];
  const nodes = [{ id: "app", title: name, sub: `Application · ${row?.x.health ?? ""}`, tone: row?.t ?? "calm" }];
  const edges = [];
  const add = (parent, object, path) => {
    const id = `${path}/${object.k}/${object.n}`;
    const health = object.health ?? object.row?.s;
    const said = [object.k, health, object.sync && object.sync !== "Synced" ? object.sync : null].filter(Boolean).join(" · ");
    const alike = object.sync === "Synced" ? "good" : "calm";
    const tone = object.health ? (HEALTH[object.health] ?? "calm") : (object.row?.t ?? alike);
    nodes.push({ id, title: object.n, sub: said, tone: object.sync === "OutOfSync" && tone !== "bad" ? "busy" : tone, href: linkTo(object.k, object.ns, object.n) });
    edges.push([parent, id]);
    for (const child of object.children ?? []) add(id, child, id);
  };
  for (const object of answer.tree) add("app", object, "");
  const results = (operation.syncResult?.resources ?? []).map((each) => ({
    key: `${each.kind}${each.namespace}${each.name}`, cells: [`${each.kind} ${each.name}`, badge(each.status === "SyncFailed" ? "bad" : "good", each.status ?? each.hookPhase), each.message ?? ""],
  }));
  return [
    head,
    ...(status.conditions ?? []).map((each) => h("p", { class: "message" }, `${each.type}: ${each.message}`)),
    operation.message && operation.phase !== "Succeeded" ? h("p", { class: "message" }, operation.message) : null,
    facts(known),
    section("Tree", answer.tree.length ? graph(nodes, edges, "right") : empty("No objects yet", "Nothing was compared so far.")),
    results.length ? section("Last sync", table("Last sync", ["Object", "Result", "Message"], results)) : null,
  ];
}

/** Where the nodes of a graph are: the longest way from the top is the layer, and within it those stand together that come from the same. */
export function layout(nodes, edges) {
  const into = new Map(nodes.map((node) => [node.id, []]));
  const out = new Map(nodes.map((node) => [node.id, []]));
  for (const [from, to] of edges) {
    if (!into.has(from) || !into.has(to)) continue;
    into.get(to).push(from);
    out.get(from).push(to);
  }
  const layer = new Map(), left = new Map(nodes.map((node) => [node.id, into.get(node.id).length]));
  const ready = nodes.filter((node) => !left.get(node.id)).map((node) => node.id);
  for (const id of ready) layer.set(id, 0);
  for (let at = 0; at < ready.length; at++) {
    for (const to of out.get(ready[at])) {
      layer.set(to, Math.max(layer.get(to) ?? 0, layer.get(ready[at]) + 1));
      left.set(to, left.get(to) - 1);
      if (!left.get(to)) ready.push(to);
    }
  }
  // A ring has no top: its nodes come last.
  const last = Math.max(0, ...layer.values());
  for (const node of nodes) if (!layer.has(node.id) || left.get(node.id) > 0) layer.set(node.id, last + 1);
  const layers = [];
  for (const node of nodes) (layers[layer.get(node.id)] ??= []).push(node.id);
  const place = new Map();
  for (const ids of layers.filter(Boolean)) {
    const wish = (id) => {
      const known = into.get(id).filter((one) => place.has(one));
      return known.length ? known.reduce((sum, one) => sum + place.get(one), 0) / known.length : 0;
    };
    const wishes = new Map(ids.map((id, at) => [id, [wish(id), at]]));
    ids.sort((a, b) => wishes.get(a)[0] - wishes.get(b)[0] || wishes.get(a)[1] - wishes.get(b)[1]);
    ids.forEach((id, at) => place.set(id, at - (ids.length - 1) / 2));
  }
  return { layer, place, across: Math.max(1, ...layers.filter(Boolean).map((ids) => ids.length)), deep: layers.length };
}

/** Where the nodes of a tree are: each leaf has a place of its own, and who owns something stands in the middle of it. */
export function forest(nodes, edges) {
  const below = new Map(nodes.map((node) => [node.id, []])), owned = new Set();
  for (const [from, to] of edges) {
    below.get(from).push(to);
    owned.add(to);
  }
  const layer = new Map(), place = new Map();
  let next = 0;
  const put = (id, depth) => {
    layer.set(id, depth);
    const mine = below.get(id).map((child) => put(child, depth + 1));
    const at = mine.length ? (mine[0] + mine.at(-1)) / 2 : next++;
    place.set(id, at);
    return at;
  };
  for (const node of nodes) if (!owned.has(node.id)) put(node.id, 0);
  const across = Math.max(1, next);
  for (const [id, at] of place) place.set(id, at - (across - 1) / 2);
  return { layer, place, across, deep: Math.max(...layer.values()) + 1 };
}

/** A graph whose nodes are links. */
export function graph(nodes, edges, way) {
  const down = way === "down";
  const { layer, place, across, deep } = (down ? layout : forest)(nodes, edges);
  const [stepDeep, stepWide] = down ? [HIGH + BETWEEN, WIDE + ASIDE] : [WIDE + BETWEEN + 20, HIGH + 12];
  const width = down ? across * stepWide : deep * stepDeep, height = down ? deep * stepDeep - BETWEEN + 8 : across * stepWide;
  const spot = (id) => {
    const along = layer.get(id) * stepDeep, aside = (place.get(id) + (across - 1) / 2) * stepWide;
    return down ? [aside + ASIDE / 2, along + 4] : [along + 4, aside + 6];
  };
  const line = ([from, to]) => {
    if (!place.has(from) || !place.has(to)) return null;
    const [a, b] = [spot(from), spot(to)];
    const [x1, y1, x2, y2] = down ? [a[0] + WIDE / 2, a[1] + HIGH, b[0] + WIDE / 2, b[1]] : [a[0] + WIDE, a[1] + HIGH / 2, b[0], b[1] + HIGH / 2];
    const bend = down ? `C${x1} ${(y1 + y2) / 2} ${x2} ${(y1 + y2) / 2} ${x2} ${y2}` : `C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`;
    return h("path", { d: `M${x1} ${y1} ${bend}` });
  };
  // By keyboard one goes along the graph, whatever order its nodes came in.
  const ordered = [...nodes].sort((a, b) => layer.get(a.id) - layer.get(b.id) || place.get(a.id) - place.get(b.id));
  const box = (node) => {
    const [x, y] = spot(node.id);
    return h(node.href ? "a" : "div", {
      class: `node ${node.tone}`, href: node.href, "data-key": node.id, "aria-current": node.current ? "true" : undefined, title: `${node.title}: ${node.sub}`,
      css: { left: `${x}px`, top: `${y}px`, width: `${WIDE}px`, height: `${HIGH}px` },
    }, h("span", { class: "strong" }, node.title), h("span", { class: "quiet" }, node.sub));
  };
  return h("div", { class: "scroll graph", tabindex: "0", role: "group", "aria-label": "Graph" },
    h("div", { class: "canvas", css: { width: `${width}px`, height: `${height}px` } },
      h("svg", { width, height, "aria-hidden": "true" }, edges.map(line)), ordered.map(box)));
}
