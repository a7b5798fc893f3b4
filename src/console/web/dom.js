// Making and patching elements: a view says what is there, and what is there already stays, with its focus and its place.

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = new Set(["svg", "g", "path", "rect", "line", "text", "circle", "title"]);
const EVENTS = ["onclick", "oninput", "onchange", "onsubmit", "onkeydown", "onscroll"];

/** An element; children that are nothing are left out. */
export function h(tag, props, ...children) {
  const one = SHAPES.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (EVENTS.includes(name)) one[name] = value;
    else if (name === "css") for (const [key, text] of Object.entries(value)) one.style.setProperty(key, text);
    else one.setAttribute(name, value === true ? "" : value);
  }
  one.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false && child !== ""));
  return one;
}

const real = new Map();
/** Stands for an element that is not drawn anew and never moved while it is there; `data-keep` names it. */
export function kept(key, element) {
  real.set(key, element);
  return h("div", { "data-keep": key });
}

/** Puts elements in the place of those that stand for them. */
function arrive(one) {
  const stands = one.nodeType === Node.ELEMENT_NODE ? [...(one.dataset.keep ? [one] : []), ...one.querySelectorAll("[data-keep]")] : [];
  for (const each of stands) {
    const element = real.get(each.dataset.keep);
    if (element && element !== each) each.replaceWith(element);
  }
}

/** Makes the children of an element those. What has `data-keep` is the same one as long as its value is the same. */
export function patch(parent, wanted) {
  wanted = [wanted].flat(Infinity).filter((one) => one instanceof Node);
  const named = new Map();
  for (const child of parent.children) {
    const key = child.dataset?.keep ?? child.dataset?.key;
    if (key) named.set(key, child);
  }
  let at = parent.firstChild;
  for (const one of wanted) {
    const key = one.dataset?.keep ?? one.dataset?.key;
    const same = key ? named.get(key) : undefined;
    if (same) {
      if (same === at) at = at.nextSibling;
      else parent.insertBefore(same, at);
      if (!one.dataset.keep) into(same, one);
    } else if (at && !key && alike(at, one)) {
      const next = at.nextSibling;
      into(at, one);
      at = next;
    } else {
      parent.insertBefore(one, at);
      arrive(one);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function alike(old, one) {
  return old.nodeType === one.nodeType && old.nodeName === one.nodeName && !old.dataset?.key && !old.dataset?.keep;
}

function into(old, one) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== one.data) old.data = one.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!one.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of one.attributes) {
    if (old.getAttribute(name) === value) continue;
    // The page's own policy forbids the attribute, and not the property.
    if (name === "style") old.style.cssText = value;
    else old.setAttribute(name, value);
  }
  for (const name of EVENTS) if (old[name] !== one[name]) old[name] = one[name];
  patch(old, [...one.childNodes]);
}

/** A state with its colour; the word says it too. */
export const badge = (tone, text) => h("span", { class: `badge ${tone}` }, text || "unknown");

/** Does something to an object, and says what came of it; the button that asked for it cannot ask again until then. */
export async function perform(button, wish, did, failed) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    const made = await post(wish);
    say(`${did}: ${made.name}`);
    document.dispatchEvent(new CustomEvent("done", { detail: { ...wish, made: made.name } }));
  } catch (error) {
    say(`${failed}: ${error.message}`, true);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** A button that does something to an object. */
export function act(label, wish, { primary } = {}) {
  const press = (event) => perform(event.currentTarget, wish, label, `${label} of ${wish.name} did not work`);
  return h("button", { type: "button", class: primary ? "primary" : undefined, onclick: press }, label);
}

async function post(wish) {
  const headers = { "content-type": "application/json" };
  return answer(await fetch("api/act", { method: "POST", headers, body: JSON.stringify(wish) }));
}

async function answer(response) {
  const body = await response.json().catch(() => ({ error: `the console answered ${response.status}` }));
  if (!response.ok) throw new Error(body.error);
  return body;
}

/** Asks the console. */
export const ask = async (path, signal) => answer(await fetch(`api/${path}`, { signal }));

let hide;
/** Says something for a while, and longer if it is bad. */
export function say(text, bad) {
  const toast = document.getElementById("toast");
  toast.className = `toast shown${bad ? " bad" : ""}`;
  toast.textContent = text;
  clearTimeout(hide);
  hide = setTimeout(() => (toast.className = "toast"), bad ? 12000 : 4000);
}

const STEPS = [[86400, "d"], [3600, "h"], [60, "m"]];
/** Seconds in words: `4m 12s`. */
export function span(seconds) {
  if (!Number.isFinite(seconds)) return "";
  let rest = Math.max(0, Math.round(seconds));
  if (seconds < 10 && seconds > 0) return `${seconds.toFixed(1)}s`;
  for (const [size, unit] of STEPS) {
    if (rest >= size) {
      const less = STEPS[STEPS.findIndex(([one]) => one === size) + 1] ?? [1, "s"];
      return `${Math.floor(rest / size)}${unit} ${Math.floor((rest % size) / less[0])}${less[1]}`;
    }
  }
  return `${rest}s`;
}

/** A time as milliseconds; Spark writes `2026-01-01T00:00:00.000GMT`. */
export const moment = (text) => (text ? Date.parse(String(text).replace(/GMT$/, "Z")) : NaN);
/** How long ago something was. */
export const ago = (text) => (text ? span((Date.now() - moment(text)) / 1000) : "");
/** How long something took, or takes. */
export const took = (start, end) => (start ? span(((end ? moment(end) : Date.now()) - moment(start)) / 1000) : "");

/** Bytes in words. */
export function bytes(count) {
  if (!count) return "0 B";
  const step = Math.min(4, Math.floor(Math.log2(count) / 10));
  return `${(count / 2 ** (10 * step)).toFixed(step ? 1 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][step]}`;
}

/** What is there when nothing is. */
export const empty = (title, text) => h("div", { class: "empty" }, h("p", { class: "strong" }, title), text && h("p", {}, text));

/** A table that is a list of cards on a narrow screen. */
export function table(label, head, rows) {
  const cells = (row) => row.cells.map((cell, at) => h("td", { "data-label": head[at] }, cell));
  return h("div", { class: "scroll" }, h("table", { "aria-label": label },
    h("thead", {}, h("tr", {}, head.map((one) => h("th", { scope: "col" }, one)))),
    h("tbody", {}, rows.map((row) => h("tr", { "data-key": row.key }, cells(row))))));
}

/** The head of an object's page: the way back, its name, and more beside it. */
export const heading = (href, list, namespace, name, ...rest) => h("header", { class: "head" },
  h("div", {}, h("p", { class: "crumb" }, h("a", { href }, list), namespace && ` / ${namespace}`), h("h1", {}, name)), ...rest);

/** Names and values, as far as there are values. */
export const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== undefined && value !== null && value !== "")
  .map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, String(value)))));

/** A part of a page under its title. */
export const section = (title, ...children) => h("section", { "aria-label": title }, h("h2", {}, title), ...children);

/** The link to the page of an object. */
export function linkTo(kind, ns, name) {
  const page = { SparkApplication: "jobs/SparkApplication", Driver: "jobs/Driver", Workflow: "workflows", Application: "apps" }[kind];
  return page ? `#/${page}/${ns}/${name}` : `#/objects/${kind}/${ns || "-"}/${name}`;
}
