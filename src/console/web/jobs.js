// Spark jobs: all of them, and one with its timeline, executors, stages, log and events.

import { act, ago, ask, badge, bytes, empty, facts, h, heading, linkTo, moment, section, span, table, took } from "./dom.js";
import { rows, store } from "./live.js";
import { logs } from "./logs.js";
import { timeline } from "./timeline.js";
import { cause } from "./overview.js";

const OVER = new Set(["COMPLETED", "FAILED", "SUBMISSION_FAILED", "Succeeded", "Failed"]);

export function page([kind, namespace, name]) {
  if (!name) return { title: "Spark jobs", kinds: ["SparkApplication", "ScheduledSparkApplication", "Driver"], draw: list };
  return {
    title: name, kinds: [kind], namespace, ask: `job/${kind}/${namespace}/${name}`,
    poll: (job) => job && !OVER.has(state(job.object)),
    draw: (job, failure, redraw) => one(kind, namespace, name, job, failure, redraw),
  };
}

const state = (object) => object.status?.applicationState?.state || object.status?.phase || "NEW";

function list() {
  const jobs = [...rows("SparkApplication"), ...rows("Driver")].sort((a, b) => (a.c < b.c ? 1 : -1)).map((row) => ({
    key: row.k + row.ns + row.n,
    cells: [
      h("a", { href: linkTo(row.k, row.ns, row.n) }, row.n), badge(row.t, row.s), row.ns, row.x.type ?? "spark-submit",
      row.k === "Driver" ? "" : String(row.x.executors), took(row.x.start ?? row.c, row.x.end), `${ago(row.c)} ago`,
    ],
  }));
  const plans = rows("ScheduledSparkApplication").map((row) => ({
    key: row.ns + row.n,
    cells: [
      row.n, badge(row.t, row.s), h("code", {}, row.x.schedule), row.x.next ? `in ${span((moment(row.x.next) - Date.now()) / 1000)}` : "",
      row.x.run ? h("a", { href: linkTo("SparkApplication", row.ns, row.x.run) }, row.x.run) : "",
      act(row.x.suspend ? "Resume" : "Suspend", { act: row.x.suspend ? "resume" : "suspend", kind: row.k, namespace: row.ns, name: row.n }),
    ],
  }));
  const none = empty("No Spark jobs", "Submit one with cargo xtask run hello-spark-operator.");
  return [
    h("h1", {}, "Spark jobs"),
    section("Runs", !store.ready ? h("div", { class: "wait" }) : jobs.length
      ? table("Spark jobs", ["Name", "State", "Namespace", "Type", "Executors", "Took", "Begun"], jobs) : none),
    plans.length ? section("Schedules", table("Schedules", ["Name", "State", "Schedule", "Next run", "Last run", ""], plans)) : null,
  ];
}

let told = { of: "" };
/** Why the job waits or failed, asked when its state is new. */
function why(kind, namespace, name, now, redraw) {
  const of = `${kind}/${namespace}/${name}/${now}`;
  if (told.of !== of) {
    const before = told.name === name ? told.causes : [];
    told = { of, name, causes: before };
    const mine = told;
    const ended = (causes) => {
      mine.causes = causes;
      redraw();
    };
    ask(`explain/${kind === "Driver" ? "Pod" : kind}/${namespace}/${name}`).then(ended, () => ended([]));
  }
  return told.causes.map(cause).filter(Boolean);
}

function one(kind, namespace, name, job, failure, redraw) {
  const head = (tone, text, ...rest) => heading("#/jobs", "Spark jobs", namespace, name, badge(tone, text), ...rest);
  if (failure) return [head("bad", "not there"), empty("This job cannot be shown", failure.message)];
  if (!job) return [head("calm", "…"), h("div", { class: "wait tall" })];
  const { object, pods, live } = job;
  const now = state(object);
  const row = store.rows.get(kind)?.get(`${namespace}/${name}`);
  const wish = (what) => ({ act: what, kind, namespace, name });
  const buttons = kind !== "SparkApplication" ? [] : OVER.has(now)
    ? [act("Run again", wish("again"), { primary: true })]
    : object.spec.suspend ? [act("Resume", wish("resume"), { primary: true })] : [act("Stop", wish("suspend"))];
  const links = [
    job.ui && h("a", { class: "button", href: job.ui, target: "_blank", rel: "noopener" }, "Spark UI"),
    job.history && h("a", { class: "button", href: job.history, target: "_blank", rel: "noopener" }, "History"),
  ];
  const causes = now === "COMPLETED" || now === "Succeeded" ? [] : why(kind, namespace, name, now, redraw);
  const known = [
    ["Type", object.spec.type], ["Spark", object.spec.sparkVersion], ["Image", object.spec.image ?? object.spec.containers?.[0]?.image],
    ["Application", object.status?.sparkApplicationId ?? object.metadata.labels?.["spark-app-selector"]],
    ["Attempts", object.status?.executionAttempts], ["Made", `${ago(object.metadata.creationTimestamp)} ago`],
  ];
  const logged = pods.map(({ row: pod, more }) => ({ name: pod.n, containers: more.containers, role: pod.x.role }))
    .sort((a, b) => (a.role === "driver" ? -1 : b.role === "driver" ? 1 : a.name.localeCompare(b.name)));
  return [
    head(row?.t ?? "calm", now, h("div", { class: "buttons" }, links, buttons)),
    row?.m ? h("p", { class: "message" }, row.m) : null,
    causes.length ? h("div", { class: "causes" }, causes) : null,
    facts(known),
    section("Timeline", timeline(object, pods, live, job.events)),
    live?.stages?.length ? section(live.past ? "Stages, as the driver told them last" : "Stages", stages(live.stages, live.past)) : null,
    section("Executors", executors(pods, live)),
    section("Log", logged.length ? logs(namespace, logged) : empty("No pods", "Their logs are here while they are there.")),
    section("Events", happened(job.events)),
  ];
}

function stages(all, past) {
  const tone = { COMPLETE: "good", ACTIVE: "busy", FAILED: "bad" };
  return table("Stages", ["Stage", "State", "Tasks", "Took", "Input", "Shuffle read", "Shuffle write"], [...all].sort((a, b) => b.stageId - a.stageId).slice(0, 100).map((one) => ({
    key: `${one.stageId}.${one.attemptId}`,
    cells: [
      h("span", { class: "clip", title: one.name }, `${one.stageId} · ${one.name}`), past && one.status === "ACTIVE" ? badge("calm", "end not seen") : badge(tone[one.status] ?? "calm", one.status.toLowerCase()),
      h("span", { class: "tasks" }, h("progress", { max: one.numTasks, value: one.numCompleteTasks, "aria-label": "tasks done" }), ` ${one.numCompleteTasks}/${one.numTasks}`,
        one.numFailedTasks ? h("span", { class: "quiet" }, ` ${one.numFailedTasks} failed`) : null),
      past && !one.completionTime ? "" : took(one.submissionTime, one.completionTime), bytes(one.inputBytes), bytes(one.shuffleReadBytes), bytes(one.shuffleWriteBytes),
    ],
  })));
}

function executors(pods, live) {
  const said = new Map((live?.executors ?? []).map((one) => [one.id, one]));
  const rest = pods.filter(({ row }) => row.x.role === "executor" || row.x.role === "driver");
  const cells = (id, pod, one) => [
    pod ? h("a", { href: linkTo("Pod", pod.ns, pod.n) }, id === "driver" ? "driver" : `executor ${id}`) : `executor ${id}`,
    pod ? badge(pod.t, pod.s) : badge("calm", one?.isActive === false ? "removed" : "gone"),
    pod?.x.node ?? "", one ? `${one.activeTasks} / ${one.completedTasks} / ${one.failedTasks}` : "",
    one ? `${bytes(one.memoryUsed)} of ${bytes(one.maxMemory)}` : "", one ? span(one.totalGCTime / 1000) : "", one?.removeReason ?? pod?.m ?? "",
  ];
  const rows = rest.map(({ row, more }) => {
    const id = row.x.role === "driver" ? "driver" : (more.exec ?? row.n);
    const one = said.get(id);
    said.delete(id);
    return { key: id, cells: cells(id, row, one) };
  });
  for (const [id, one] of said) rows.push({ key: id, cells: cells(id, null, one) });
  if (!rows.length) return empty("No executors", "They are here while they are there.");
  rows.sort((a, b) => (a.key === "driver" ? -1 : b.key === "driver" ? 1 : Number(a.key) - Number(b.key)));
  return table("Executors", ["Executor", "State", "Node", "Tasks active / done / failed", "Storage", "GC", ""], rows);
}

/** Events, newest first. */
export function happened(events) {
  if (!events?.length) return empty("No events", "Events are kept for an hour.");
  return table("Events", ["When", "Reason", "About", "Message"], [...events].reverse().map((row) => ({
    key: row.ns + row.n,
    cells: [`${ago(row.x.last ?? row.c)} ago`, badge(row.t, row.s), `${row.x.kind} ${row.x.name}`, row.m],
  })));
}
