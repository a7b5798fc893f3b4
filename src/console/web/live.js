// What the console tells as it happens: rows by kind, counts, and which namespaces were stirred.

const TRY_AGAIN = 1500;

export const store = { rows: new Map(), counts: {}, refused: {}, ready: false, connected: false };

let source, wanted = "", changed = () => {}, stirred = () => {}, retry;

/** Who is told when something is new. */
export function listen(onchange, onstir) {
  changed = onchange;
  stirred = onstir;
}

/** The rows of a kind. */
export const rows = (kind) => [...(store.rows.get(kind)?.values() ?? [])];

/** Asks for the rows of these kinds from now on; what is there already stays until the new ones are. */
export function want(kinds) {
  const list = [...kinds].sort().join(",");
  if (list === wanted && source && source.readyState !== EventSource.CLOSED) return;
  wanted = list;
  open();
}

function open() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource(`api/live/${wanted}`);
  source.onmessage = (event) => take(JSON.parse(event.data));
  source.onerror = () => {
    store.connected = false;
    changed();
    if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, TRY_AGAIN);
  };
}

function take({ put, rest }) {
  if (rest.reset) for (const kind of wanted.split(",")) store.rows.set(kind, new Map());
  for (const row of put) {
    let all = store.rows.get(row.k);
    if (!all) store.rows.set(row.k, (all = new Map()));
    all.set(`${row.ns}/${row.n}`, row);
  }
  for (const [kind, ns, name] of rest.del) store.rows.get(kind)?.delete(`${ns}/${name}`);
  Object.assign(store, { counts: rest.counts, refused: rest.refused, ready: true, connected: true });
  changed();
  if (rest.stirred.length) stirred(new Set(rest.stirred));
}
