// The log of a pod, as it comes. The panel stays the same while the page around it is drawn anew.

import { h, kept } from "./dom.js";

const MOST = 6000;
const panels = new Map();

/** A panel for the logs of these pods: `{name, containers}`. */
export function logs(namespace, pods) {
  const key = `log ${namespace} ${pods[0].name.replace(/-exec-\d+$/, "")}`;
  let panel = panels.get(key);
  if (!panel) {
    for (const other of panels.values()) other.stop();
    panels.clear();
    panels.set(key, (panel = make(namespace, key)));
  }
  panel.offer(pods);
  return kept(key, panel.element);
}

function make(namespace, key) {
  const choice = h("select", { "aria-label": "Pod and container" });
  const find = h("input", { type: "search", placeholder: "Find in log", "aria-label": "Find in log" });
  const state = h("span", { class: "quiet", role: "status" });
  const follow = h("button", { type: "button", "aria-pressed": "true" }, "Follow");
  const text = h("pre", { tabindex: "0", "aria-label": "Log" });
  const element = h("div", { class: "log", "data-keep": key }, h("div", { class: "bar" }, choice, find, follow, state), text);
  let options = "", current, running, lines = [], rest = "", waiting;

  const show = () => {
    waiting = undefined;
    const word = find.value.toLowerCase();
    const shown = word ? lines.filter((line) => line.toLowerCase().includes(word)) : lines;
    text.textContent = shown.join("\n");
    if (follow.getAttribute("aria-pressed") === "true") text.scrollTop = text.scrollHeight;
  };
  const later = () => (waiting ??= requestAnimationFrame(show));
  const take = (chunk) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    lines.push(...parts);
    if (lines.length > MOST) lines = lines.slice(-MOST);
    later();
  };
  const stop = () => running?.abort();
  const read = async () => {
    stop();
    const mine = (running = new AbortController());
    [lines, rest] = [[], ""];
    later();
    const [pod, container] = current.split("/");
    for (let fails = 0; !mine.signal.aborted && fails < 60; fails++) {
      try {
        const response = await fetch(`api/log/${namespace}/${pod}/${container}/follow`, { signal: mine.signal });
        if (response.ok) {
          state.textContent = "";
          const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
          for (let got = await reader.read(); !got.done; got = await reader.read()) take(got.value);
          if (rest) take("\n");
          state.textContent = "ended";
          return;
        }
        state.textContent = (await response.json()).error;
      } catch (error) {
        if (error.name === "AbortError") return;
        state.textContent = "the line is down";
      }
      await new Promise((done) => setTimeout(done, 1000));
    }
  };
  choice.onchange = () => {
    current = choice.value;
    read();
  };
  find.oninput = later;
  follow.onclick = () => {
    follow.setAttribute("aria-pressed", String(follow.getAttribute("aria-pressed") !== "true"));
    later();
  };
  text.onscroll = () => {
    const end = text.scrollTop + text.clientHeight >= text.scrollHeight - 8;
    if (!end && follow.getAttribute("aria-pressed") === "true" && text.matches(":hover, :focus")) follow.setAttribute("aria-pressed", "false");
  };
  const offer = (pods) => {
    const all = pods.flatMap((pod) => pod.containers.map((container) => `${pod.name}/${container}`));
    if (all.join() === options) return;
    options = all.join();
    choice.replaceChildren(...all.map((one) => h("option", { value: one }, one.replace("/", " · "))));
    if (all.includes(current)) choice.value = current;
    else if (all.length) {
      current = choice.value = all[0];
      read();
    }
  };
  return { element, offer, stop };
}
