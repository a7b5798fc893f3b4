// The frame: which view is shown, when it is drawn, and whether the line to the console is up.

import { ask, h, patch, say } from "./dom.js";
import { listen, store, want } from "./live.js";
import * as overview from "./overview.js";
import * as jobs from "./jobs.js";
import * as workflows from "./workflows.js";
import * as apps from "./apps.js";
import * as objects from "./objects.js";

const VIEWS = [
  ["", "Overview", overview, "M2 3h5v4H2zM9 3h5v7H9zM2 9h5v4H2zM9 12h5v1H9z"],
  ["jobs", "Spark jobs", jobs, "M9 1 3 9h4l-1 6 7-9H8z"],
  ["workflows", "Workflows", workflows, "M2 2h4v4H2zM10 2h4v4h-4zM6 10h4v4H6zM4 6v2h8V6h1v3H8.500v1h-1V9H3V6z"],
  ["apps", "Applications", apps, "M8 1l6 3-6 3-6-3zM2 7l6 3 6-3v1.500l-6 3-6-3zM2 10.500l6 3 6-3V12l-6 3-6-3z"],
  ["dashboards", "Dashboards", { load: () => import("./dashboards.js") }, "M2 2h1.500v10.500H14V14H2zM5 7h2v4H5zM8 4h2v7H8zM11 6h2v5h-2z"],
  ["objects", "Objects", objects, "M2 3h12v2H2zM2 7h12v2H2zM2 11h12v2H2z"],
  ["events", "Events", { page: objects.events }, "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm-.700 2.500h1.400V8l2.300 1.500-.700 1.200L7.300 8.800z"],
];
const QUIET = 400;

let page, asked, answer, failure, fetching, again, drawn = false, announced = true;

function route() {
  const parts = decodeURIComponent(location.hash.replace(/^#\/?/, "")).split("/");
  const view = VIEWS.find(([name]) => name === parts[0]) ?? VIEWS[0];
  const next = (view[2].page ?? ((rest) => later(view, rest)))(parts.slice(1));
  const moved = asked !== location.hash;
  page = next;
  if (moved) {
    asked = location.hash;
    answer = failure = undefined;
    load();
    if (drawn) {
      document.getElementById("main").focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }
  const narrow = ([name, label, , icon]) => h("a", { href: `#/${name}`, "aria-current": view[0] === name ? "page" : undefined },
    h("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, h("path", { d: icon })), h("span", {}, label));
  patch(document.getElementById("nav"), VIEWS.map(narrow));
  document.title = `${page.title} · Tinderbox`;
  want(page.kinds);
  draw();
}

/** Stands for a view whose script comes when it is opened for the first time. */
function later(view, rest) {
  const came = (module) => {
    view[2] = module;
    asked = undefined;
    route();
  };
  view[2].load().then(came, (error) => say(`${view[1]} cannot be loaded: ${error.message}`, true));
  return { title: view[1], kinds: ["Node"], draw: () => [h("h1", {}, view[1]), h("div", { class: "wait" })] };
}

/** Asks for what the page shows beyond rows; again when its namespace was stirred. */
async function load() {
  if (!page.ask) return;
  fetching?.abort();
  const mine = (fetching = new AbortController());
  const of = asked;
  try {
    const got = await ask(page.ask, mine.signal);
    if (of === asked) [answer, failure] = [got, undefined];
  } catch (error) {
    if (error.name === "AbortError" || of !== asked) return;
    failure = error;
  }
  draw();
}

function soon() {
  if (again || !page.ask) return;
  again = setTimeout(() => {
    again = undefined;
    load();
  }, QUIET);
}

let frame;
function draw() {
  frame ??= requestAnimationFrame(() => {
    frame = undefined;
    const line = document.getElementById("line");
    const text = store.connected ? "live" : store.ready ? "reconnecting" : "connecting";
    if (line.textContent !== text) {
      line.textContent = text;
      line.className = `line ${text}`;
      if (announced && text === "reconnecting") say("The line to the console is down. Trying again.", true);
      if (text === "live" && !announced) say("The line is up again.");
      announced = text !== "reconnecting";
    }
    patch(document.getElementById("main"), page.draw(answer, failure, draw));
    drawn = true;
    document.body.dataset.drawn = String(store.ready);
  });
}

listen(draw, (namespaces) => {
  if (!page.namespace || namespaces.has(page.namespace)) soon();
});
setInterval(() => {
  if (document.hidden) return;
  if (page.poll?.(answer)) soon();
  draw();
}, 1000);
addEventListener("hashchange", route);
document.addEventListener("done", ({ detail }) => {
  soon();
  if (detail.kind.startsWith("Workflow") || detail.kind === "CronWorkflow") {
    if (detail.made !== detail.name) location.hash = `#/workflows/${detail.namespace}/${detail.made}`;
  }
});
document.getElementById("skip").onclick = () => document.getElementById("main").focus();
ask("about").then(({ cluster, place }) => {
  document.getElementById("where").textContent = place === "embedded" ? cluster : `${cluster} (${place})`;
});
route();
