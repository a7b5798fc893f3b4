// Workflows: all of them, and one as the graph of its nodes.

import { act, ago, badge, empty, facts, h, heading, linkTo, perform, section, table, took } from "./dom.js";
import { rows, store } from "./live.js";
import { logs } from "./logs.js";
import { graph } from "./apps.js";

const OVER = new Set(["Succeeded", "Failed", "Error"]);
const TONE = { Succeeded: "good", Running: "busy", Pending: "busy", Failed: "bad", Error: "bad" };
const THROUGH = new Set(["StepGroup", "Retry", "TaskGroup"]);

export function page([namespace, name, chosen]) {
  if (!name) return { title: "Workflows", kinds: ["Workflow", "WorkflowTemplate", "CronWorkflow"], draw: list };
  return {
    title: name, kinds: ["Workflow"], namespace, ask: `object/Workflow/${namespace}/${name}`,
    draw: (workflow, failure) => one(namespace, name, chosen, workflow, failure),
  };
}

function list() {
  const runs = rows("Workflow").sort((a, b) => (a.c < b.c ? 1 : -1)).map((row) => ({
    key: row.ns + row.n,
    cells: [h("a", { href: linkTo("Workflow", row.ns, row.n) }, row.n), badge(row.t, row.x.suspended && !OVER.has(row.s) ? "Suspended" : row.s), row.x.progress ?? "", row.ns,
      took(row.x.start, row.x.end), `${ago(row.c)} ago`],
  }));
  const crons = rows("CronWorkflow").map((row) => {
    const wish = (what) => ({ act: what, kind: "CronWorkflow", namespace: row.ns, name: row.n });
    return {
      key: row.ns + row.n,
      cells: [row.n, badge(row.t, row.s), h("code", {}, row.x.schedules.join(", ")), row.x.last ? `${ago(row.x.last)} ago` : "",
        h("div", { class: "buttons" }, act("Run now", wish("submit")), row.x.suspend ? act("Resume", wish("resume")) : act("Suspend", wish("suspend")))],
    };
  });
  return [
    h("h1", {}, "Workflows"),
    section("Runs", !store.ready ? h("div", { class: "wait" }) : runs.length ? table("Workflows", ["Name", "State", "Progress", "Namespace", "Took", "Begun"], runs)
      : empty("No workflows", "Run a template below, or cargo xtask run hello-argo-workflows.")),
    section("Templates", rows("WorkflowTemplate").length ? h("div", { class: "cards" }, rows("WorkflowTemplate").map(template)) : empty("No templates", "")),
    crons.length ? section("Schedules", table("Schedules", ["Name", "State", "Schedule", "Last run", ""], crons)) : null,
  ];
}

/** A template with its parameters, ready to be run. */
function template(row) {
  const id = `${row.ns}-${row.n}`;
  const field = ({ name, value, enum: choices, description }) => h("label", { title: description }, name, choices
    ? h("select", { name }, choices.map((one) => h("option", { selected: one === value }, one)))
    : h("input", { name, value: value ?? "", required: value === undefined || value === null, autocomplete: "off" }));
  const submit = (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const wish = { act: "submit", kind: "WorkflowTemplate", namespace: row.ns, name: row.n, parameters: Object.fromEntries(new FormData(form)) };
    perform(form.querySelector("button"), wish, "Runs", `${row.n} does not run`);
  };
  const parameters = row.x.parameters ?? [];
  return h("form", { class: "card", "data-keep": `template ${id} ${JSON.stringify(parameters)}`, onsubmit: submit, "aria-label": `Run ${row.n}` },
    h("p", { class: "strong" }, row.n, h("span", { class: "quiet" }, ` in ${row.ns}`)), parameters.map(field), h("button", { class: "primary", type: "submit" }, "Run"));
}

/** Nodes that are drawn, and who leads to whom; groups and attempts are passed through. */
export function shown(nodes) {
  const all = Object.values(nodes ?? {});
  const seen = all.filter((node) => !THROUGH.has(node.type));
  const below = (node, been = new Set()) => (node?.children ?? []).flatMap((id) => {
    const child = nodes[id];
    if (!child || been.has(id)) return [];
    been.add(id);
    return THROUGH.has(child.type) ? below(child, been) : [id];
  });
  return { seen, edges: seen.flatMap((node) => [...new Set(below(node))].map((to) => [node.id, to])) };
}

function one(namespace, name, chosen, workflow, failure) {
  const head = (tone, text, ...rest) => heading("#/workflows", "Workflows", namespace, name, badge(tone, text), ...rest);
  if (failure) return [head("bad", "not there"), empty("This workflow cannot be shown", failure.message)];
  if (!workflow) return [head("calm", "…"), h("div", { class: "wait tall" })];
  const status = workflow.status ?? {};
  const phase = status.phase || "Pending";
  const { seen, edges } = shown(status.nodes);
  const suspended = workflow.spec.suspend || seen.some((node) => node.type === "Suspend" && node.phase === "Running");
  const wish = (what) => ({ act: what, kind: "Workflow", namespace, name });
  const buttons = OVER.has(phase) ? [act("Run again", wish("again"), { primary: true })]
    : [suspended && act("Resume", wish("resume"), { primary: true }), act("Stop", wish("stop")), act("Terminate", wish("terminate"))];
  const node = status.nodes?.[chosen];
  const drawn = seen.map((each) => ({
    id: each.id, title: each.displayName || each.name, tone: TONE[each.phase] ?? "calm", sub: `${each.phase || "Pending"}${each.startedAt ? ` · ${took(each.startedAt, each.finishedAt)}` : ""}`,
    href: `#/workflows/${namespace}/${name}/${each.id}`, current: each.id === chosen,
  }));
  return [
    head(TONE[phase] ?? "calm", suspended && !OVER.has(phase) ? "Suspended" : phase, h("div", { class: "buttons" }, buttons)),
    status.message ? h("p", { class: "message" }, status.message) : null,
    facts([["Progress", status.progress], ["Took", took(status.startedAt, status.finishedAt)], ["Begun", status.startedAt ? `${ago(status.startedAt)} ago` : ""],
      ["Template", workflow.spec.workflowTemplateRef?.name]]),
    section("Graph", drawn.length ? graph(drawn, edges, "down") : empty("No nodes yet", "The controller has not looked at it.")),
    node ? detail(namespace, workflow, node) : h("p", { class: "quiet hint" }, "Choose a node to see what it was given, what it gave, and what it said."),
  ];
}

/** The name of a node's pod, as Argo Workflows makes it. */
export function podName(workflow, node) {
  const name = workflow.metadata.name;
  if (node.name === name) return name;
  const hash = node.id.slice(node.id.lastIndexOf("-") + 1);
  const template = node.templateName || node.templateRef?.template || "";
  return `${`${name}-${template}`.slice(0, 253 - 1 - 10)}-${hash}`;
}

function detail(namespace, workflow, node) {
  const known = [["Phase", node.phase], ["Type", node.type], ["Template", node.templateName || node.templateRef?.template], ["Took", took(node.startedAt, node.finishedAt)],
    ["Host", node.hostNodeName], ["Message", node.message]];
  const values = (title, list, result) => {
    const all = [...(list ?? []).map((one) => [one.name, one.value]), ...(result !== undefined ? [["result", result]] : [])];
    return all.length ? [h("p", { class: "label" }, title), h("dl", { class: "values" }, all.map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, h("code", {}, String(value ?? ""))))))] : [];
  };
  const began = node.type === "Pod" && node.startedAt && node.phase !== "Pending";
  return section(node.displayName || node.name,
    facts(known),
    values("Given", node.inputs?.parameters), values("Gave", node.outputs?.parameters, node.outputs?.result),
    began ? [h("p", { class: "label" }, "Said"), logs(namespace, [{ name: podName(workflow, node), containers: ["main"] }])] : null);
}
