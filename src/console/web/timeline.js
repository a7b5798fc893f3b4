// A job's time as bars: submitted, driver, executors, stages.

import { empty, h, moment, span } from "./dom.js";

const ROW = 24, TOP = 22, LABEL = 148, MOST = 40;

const TOLD = /^Executor (\S+) (is running|completed|failed)/;
/** When executors ran, by their events. */
export function spans(events) {
  const all = new Map();
  for (const { m = "", x } of events) {
    const [, name, what] = TOLD.exec(m) ?? [];
    if (!name) continue;
    const one = all.get(name) ?? {};
    if (what === "is running") one.from ??= x.last;
    else Object.assign(one, { to: x.last, bad: what === "failed" });
    all.set(name, one);
  }
  return all;
}

/** The drawing; it grows with time while the job runs. */
export function timeline(object, pods, live, events = []) {
  const meta = object.metadata, status = object.status ?? {};
  const bars = [];
  const add = (label, start, end, tone, title) => {
    const from = moment(start);
    if (Number.isFinite(from)) bars.push({ label, from, to: moment(end) || null, tone, title: title ?? label });
  };
  const ordered = [...pods].sort((a, b) => (a.row.x.role === "driver" ? -1 : b.row.x.role === "driver" ? 1 : a.row.c < b.row.c ? -1 : 1));
  const driver = ordered.find(({ row }) => row.x.role === "driver");
  const ended = driver?.more.end ?? status.terminationTime;
  add("submitted", meta.creationTimestamp, driver?.more.begin ?? status.terminationTime, "wait", "from submission until the driver runs");
  for (const { row, more } of ordered) {
    const name = row.x.role === "driver" ? "driver" : row.x.role === "executor" ? `executor ${more.exec ?? ""}` : row.n;
    if (more.begin && row.x.role !== "driver") add(name, row.c, more.begin, "wait", `${name} waits`);
    if (more.begin) add(name, more.begin, more.end, row.t === "bad" ? "bad" : "run");
    else if (row.x.role !== "driver") add(name, row.c, null, "wait", `${name} waits: ${row.s}`);
  }
  // Executors whose pods are gone are known by what the operator told of them.
  for (const [name, { from, to, bad }] of spans(events)) {
    const id = /-exec-(\d+)$/.exec(name)?.[1];
    const there = ordered.some(({ row }) => row.n === name) || live?.executors?.some((one) => one.id === id);
    if (!there) add(`executor ${id ?? name}`, from, to ?? ended, bad ? "bad" : "run");
  }
  for (const one of live?.executors ?? []) {
    const there = ordered.some(({ more }) => more.exec === one.id);
    if (one.id !== "driver" && !there) add(`executor ${one.id}`, one.addTime, one.removeTime ?? ended, "run");
  }
  const stages = [...(live?.stages ?? [])].filter((one) => one.submissionTime).sort((a, b) => a.stageId - b.stageId);
  for (const one of stages.slice(-MOST)) {
    add(`stage ${one.stageId}`, one.submissionTime, one.completionTime ?? ended, one.status === "FAILED" ? "bad" : "stage", `stage ${one.stageId}: ${one.name}`);
  }
  if (!bars.length) return empty("Nothing has begun", "");
  const running = bars.some((bar) => !bar.to);
  const begin = Math.min(...bars.map((bar) => bar.from));
  const end = Math.max(...bars.map((bar) => bar.to ?? 0), running ? Date.now() : 0, begin + 1000);
  const lanes = [...new Set(bars.map((bar) => bar.label))];
  const at = (time) => ((time - begin) / (end - begin)) * 100;
  const height = TOP + lanes.length * ROW + 4;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => h("span", { class: "tick", css: { left: `${part * 100}%` } }, span((part * (end - begin)) / 1000) || "0s"));
  const lane = (label) => h("div", { class: "lane", "data-key": label },
    h("span", { class: "name", title: label }, label),
    h("span", { class: "track" }, bars.filter((bar) => bar.label === label).map((bar) => {
      const to = bar.to ?? Date.now();
      return h("span", {
        class: `span ${bar.tone}${bar.to ? "" : " open"}`, title: `${bar.title}: ${span((to - bar.from) / 1000)}`,
        css: { left: `${at(bar.from)}%`, width: `max(3px, ${at(to) - at(bar.from)}%)` },
      }, h("span", { class: "visually-hidden" }, `${bar.title}: ${span((to - bar.from) / 1000)}`));
    })));
  return h("div", { class: "timeline", css: { "--label": `${LABEL}px`, "min-height": `${height}px` }, role: "group", "aria-label": "Timeline" },
    h("div", { class: "axis", "aria-hidden": "true" }, ticks), lanes.map(lane));
}
