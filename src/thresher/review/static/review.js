/**
 * The review page: a ranked queue of samples whose labels may be wrong, and a person who decides.
 *
 * Everything about the queue is in typed columns that are loaded once; a key changes them at once, and `saver` tells the
 * server behind it, in order. Text from the data reaches the page through textContent only.
 *
 * A row's place in the queue is called `i`, its place in what the filters show `at`, and its number in the data `row`.
 *
 * @typedef {{state: ?string, label: number}} Outcome  An action, and a class (-1: none).
 * @typedef {{row: number, state: ?string, label: ?number, seen: number, annotator?: string}} RowState  As the server tells it.
 * @typedef {{i: number, before: Outcome, after: Outcome}} Item
 * @typedef {{items: Item[], group: number, turns?: "undo"|"redo", of?: ?Op, failed?: boolean, partly?: boolean}} Op
 *   Decisions of one request, or the undo or redo of one (null: of one that this page did not make, or knows no more);
 *   ops of one key have one group.
 */

const CELL = { image: [168, 214], text: [280, 150], table: [280, 150], none: [190, 96] }; // least width, height in px
const AHEAD = 20; // cards fetched before they are needed
const BULK = 10000; // decisions per request, as many as the server takes
const ASK = 200; // more than this many at once are asked about
const RETRIES = 6;
const MADE = {
  keep: "kept", accept: "changed to", relabel: "changed to", skip: "skipped", ambiguous: "marked ambiguous",
  none_of_these: "marked as none of the classes", bad: "marked as bad",
};
const TURNED = { undo: "undone", redo: "done again" };
const SHORT = { ...MADE, ambiguous: "ambiguous", none_of_these: "none fits", bad: "bad" };

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);
const config = JSON.parse($("config").textContent);
const sleep = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));
const percent = (/** @type {number} */ p) =>
  p > 0 && p < 0.01 ? "<\u00a01\u00a0%" : p > 0.99 && p < 1 ? ">\u00a099\u00a0%" : `${Math.round(100 * p)}\u00a0%`;
const number = new Intl.NumberFormat("en").format;

/**
 * An element; its text is only ever text.
 * @param {string} tag @param {string} [name] @param {?(string|number)} [text] @param {...Node} inside
 */
function make(tag, name = "", text = null, ...inside) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== null) made.textContent = String(text);
  made.append(...inside);
  return made;
}

// ---------------------------------------------------------------------------------------------------- the server

/** @param {string} path @param {object} [body] Without one it is a GET. */
async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(data.error || `the server answered ${answer.status}`), { status: answer.status, data });
  return data;
}

const thumb = (/** @type {number} */ row, side = 128) => `/thumb/${row}?side=${side}&v=${encodeURIComponent(config.v)}`;
const full = (/** @type {number} */ row) => `/image/${row}?v=${encodeURIComponent(config.v)}`;

/** An `<img>`; small pictures are shown with their pixels. @param {string} source @param {string} name */
function picture(source, name) {
  const image = new Image();
  image.alt = name;
  image.decoding = "async";
  image.addEventListener("load", () => image.classList.toggle("pixels", Math.max(image.naturalWidth, image.naturalHeight) <= 100));
  image.src = source;
  return image;
}

/** Keeps the newest `size` things that were asked for. @template T */
class Recent {
  /** @param {number} size */
  constructor(size) {
    this.size = size;
    /** @type {Map<number, T>} */
    this.known = new Map();
  }
  /** @param {number} key @param {() => T} create @returns {T} */
  get(key, create) {
    const found = this.known.has(key) ? /** @type {T} */ (this.known.get(key)) : create();
    this.known.delete(key);
    this.known.set(key, found);
    if (this.known.size > this.size) this.known.delete(this.known.keys().next().value);
    return found;
  }
}

// ---------------------------------------------------------------------------------------------------- the queue

const queue = await ask("/api/queue").catch((error) => {
  alarm(`The review could not be loaded: ${error.message}`);
  throw error;
});
const { kind, classes, columns } = queue;
const total = columns.row.length;
const place = new Map(columns.row.map((/** @type {number} */ row, /** @type {number} */ i) => [row, i]));
const selected = new Uint8Array(total);
const waiting = new Uint16Array(total); // changes of a row that are not saved yet
const saved = { state: columns.state.slice(), label: columns.label.slice() }; // as the server has it
/** @type {Int32Array} */
let view = new Int32Array(0);
let at = 0;
let anchor = 0;
let selectedCount = 0;
let mode = "single";
let finished = false; // nothing is open here any more
let synced = queue.version;
/** The newest version that an answer told. */
let latest = queue.version;
let progress = queue.progress;
let decided = columns.state.filter(isDecided).length;

/** @param {?string} state */
function isDecided(state) {
  return state !== null && state !== "skip";
}

const keyOf = (/** @type {number} */ i) => (columns.key ? columns.key[i] : String(columns.row[i]));
const given = (/** @type {number} */ i) => classes[columns.given[i]];
const nameOf = (/** @type {number} */ i) => `row ${columns.row[i]}, given ${given(i)}`;
const outcome = (/** @type {number} */ i) => ({ state: columns.state[i], label: columns.label[i] });

/** Let a row stand as decided. @param {number} i @param {Outcome} next */
function put(i, next) {
  decided += Number(isDecided(next.state)) - Number(isDecided(columns.state[i]));
  columns.state[i] = next.state;
  columns.label[i] = next.label;
  grid.later();
}

/** What the server says of rows counts, but where something newer waits to be saved. @param {RowState[]} states */
function take(states) {
  for (const one of states) {
    const i = place.get(one.row);
    if (i === undefined) continue;
    columns.seen[i] = one.seen;
    saved.state[i] = one.state;
    saved.label[i] = one.label ?? -1;
    if (i !== shown) cards.known.delete(one.row); // its history has grown
    settle(i);
  }
}

/** @param {number} i */
function settle(i) {
  if (!waiting[i]) put(i, { state: saved.state[i], label: saved.label[i] });
}

/** A change of a row is saved, or given up. @param {number} i */
function release(i) {
  waiting[i]--;
  settle(i);
}

/** In words. @param {Outcome} one */
function phrase({ state, label }) {
  if (state === null) return "not decided";
  return label >= 0 && state !== "skip" ? `${MADE[state]} “${classes[label]}”` : MADE[state];
}

/** The same, for the grid. @param {Outcome} one */
const brief = ({ state, label }) => (label >= 0 && MADE[state] === "changed to" ? `→ ${classes[label]}` : SHORT[state]);
const said = (/** @type {number} */ i) => phrase(outcome(i));

// ---------------------------------------------------------------------------------------------------- filters

const fields = ["state", "given", "suggested", "pair", "kind", "reason", "key"];
/** @type {string[] | null} */
let folded = null;

/** The places that the filters let through: ranked, the skipped ones last. */
function filtered() {
  const want = Object.fromEntries(fields.map((name) => [name, $(`f-${name}`).value]));
  const [from, to] = want.pair ? want.pair.split(">") : ["", ""];
  const part = want.key.trim().toLowerCase();
  folded ??= columns.row.map((/** @type {number} */ row, /** @type {number} */ i) => keyOf(i).toLowerCase());
  const is = (/** @type {string} */ wanted, /** @type {number} */ value) => wanted === "" || Number(wanted) === value;
  const fits = (/** @type {number} */ i) =>
    is(from, columns.given[i]) && is(to, columns.suggested[i]) && is(want.given, columns.given[i])
    && is(want.suggested, columns.suggested[i]) && is(want.kind, columns.kind[i]) && is(want.reason, columns.reason[i])
    && (part === "" || folded[i].includes(part));
  const first = [], last = [];
  for (let i = 0; i < total; i++) {
    const state = columns.state[i];
    if (want.state === "decided" && !isDecided(state)) continue;
    if (want.state === "skipped" && state !== "skip") continue;
    if (want.state === "open" && isDecided(state)) continue;
    if (fits(i)) (want.state !== "all" && state === "skip" ? last : first).push(i);
  }
  return Int32Array.from(first.concat(last));
}

/** Look through the filters again, from the start. */
function refilter() {
  view = filtered();
  finished = false;
  at = anchor = Math.max(0, nextOpen(-1));
  $("count").textContent = view.length === total ? `(all ${number(total)})` : `(${number(view.length)} of ${number(total)})`;
  grid.clear();
  select(() => false);
  render();
  grid.reset();
}

/** @param {string} state */
function unfilter(state) {
  for (const name of fields) $(`f-${name}`).value = name === "state" ? state : "";
  refilter();
}

/** @param {string} name @param {[string, string][]} choices */
function fill(name, choices) {
  const all = [["", "any"], ...choices];
  $(`f-${name}`).replaceChildren(...all.map(([value, text]) => Object.assign(make("option", "", text), { value })));
}

/** @param {number[]} values @param {(value: number) => string} name @returns {[string, string][]} */
function counted(values, name, sorted = false) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const found = [...counts].filter(([value]) => value >= 0 && name(value));
  found.sort(sorted ? (a, b) => b[1] - a[1] : (a, b) => a[0] - b[0]);
  return found.map(([value, count]) => [String(value), `${name(value)} (${number(count)})`]);
}

function fillFilters() {
  const name = (/** @type {number} */ value) => classes[value];
  fill("given", counted(columns.given, name));
  fill("suggested", counted(columns.suggested, name));
  fill("kind", counted(columns.kind, (value) => queue.kinds[value]));
  fill("reason", counted(columns.reason, (value) => queue.reasons[value], true));
  const width = classes.length;
  const pairs = columns.given.map((/** @type {number} */ a, /** @type {number} */ i) => (columns.suggested[i] >= 0 && columns.suggested[i] !== a ? a * width + columns.suggested[i] : -1));
  const common = counted(pairs, (value) => `${name(Math.floor(value / width))} → ${name(value % width)}`, true).slice(0, 100);
  fill("pair", common.map(([value, text]) => [`${Math.floor(Number(value) / width)}>${Number(value) % width}`, text]));
  for (const one of document.querySelectorAll("label.telling")) /** @type {HTMLElement} */ (one).hidden = one.querySelectorAll("option").length < 2;
}

// ---------------------------------------------------------------------------------------------------- saving

/** Sends what was decided, in order, one request at a time; tries again when the server is away. */
const saver = {
  /** @type {Op[]} */ ops: [],
  busy: false,

  /** @param {Op} op */
  push(op) {
    for (const { i } of op.items) waiting[i]++;
    this.ops.push(op);
    this.tell();
    this.drain();
  },

  async drain() {
    if (this.busy) return;
    this.busy = true;
    for (let tries = 0; this.ops.length; ) {
      const op = this.ops[0];
      try {
        await (op.turns ? this.turn(op, op.turns, tries) : this.decide(op));
        tries = 0;
      } catch (error) {
        if ((error.status === undefined || error.status >= 500) && ++tries <= RETRIES) {
          this.tell(tries);
          await sleep(200 * 2 ** tries);
          continue;
        }
        this.fail(error);
        break;
      }
      this.ops.shift();
      for (const { i } of op.items) release(i);
      this.tell();
    }
    this.busy = false;
    showProgress();
  },

  /** Save decisions; where someone else has decided meanwhile, theirs counts, and the others are sent again. @param {Op} op */
  async decide(op) {
    while (op.items.length) {
      const decisions = op.items.map(({ i, after: { state, label } }) => ({ row: columns.row[i], action: state, label: label < 0 ? null : label, seen: columns.seen[i] }));
      try {
        const answer = await ask("/api/decide", { decisions });
        latest = answer.version;
        progress = answer.progress;
        return take(answer.states);
      } catch (error) {
        if (error.status !== 409 || !error.data.conflicts?.length) throw error;
        this.clash(op, error.data.conflicts);
      }
    }
    op.failed = !op.partly;
  },

  /** @param {Op} op @param {RowState[]} conflicts */
  clash(op, conflicts) {
    const found = new Map(conflicts.map((one) => [place.get(one.row), one]));
    const gone = op.items.filter(({ i }) => found.has(i));
    op.items = op.items.filter(({ i }) => !found.has(i));
    take(conflicts);
    for (const { i } of gone) release(i);
    // The same as ours is ours: the answer to it was lost.
    const foreign = gone.filter(({ i, after: { state, label } }) => saved.state[i] !== state || saved.label[i] !== label).map(({ i }) => i);
    op.partly ||= foreign.length < gone.length;
    if (!foreign.length) return;
    const one = found.get(foreign[0]);
    const what = `Row ${one.row} was changed in another window${one.annotator ? `, by ${one.annotator}` : ""}: ${phrase({ state: one.state, label: one.label ?? -1 })}`;
    alarm(foreign.length > 1 ? `${foreign.length} rows were changed in another window; your decisions about them were not saved.` : `${what}. Yours was not saved; look again.`, foreign[0]);
    render();
  },

  /** @param {Op} op @param {"undo"|"redo"} way @param {number} tries */
  async turn(op, way, tries) {
    if (op.of?.failed) return; // the server never had it
    if (tries) { // was it done, and only the answer lost?
      const known = latest, seen = op.items.map(({ i }) => columns.seen[i]);
      await sync();
      if (op.items.length ? op.items.some(({ i }, k) => columns.seen[i] !== seen[k]) : latest > known) return render();
    }
    const answer = await ask(`/api/${way}`, {});
    latest = answer.version;
    progress = answer.progress;
    take(answer.states);
    const rows = new Set(answer.states.map((/** @type {RowState} */ one) => place.get(one.row)));
    if (op.items.length && op.items.every(({ i }) => rows.has(i))) return;
    const [first] = answer.states;
    if (!first) return announce(answer.elsewhere ? `A decision about a row that is not in this queue was ${TURNED[way]}.` : `There is nothing to ${way}.`);
    const i = place.get(first.row);
    if (i !== undefined) show(i);
    announce(`Row ${first.row}: ${TURNED[way]}.`);
    render();
  },

  /** What could not be saved goes back to what it was. @param {Error} error */
  fail(error) {
    const lost = this.ops.splice(0);
    for (const op of lost) op.failed = true;
    const places = lost.flatMap((op) => op.items.map(({ i }) => i));
    for (const i of places) release(i);
    this.tell();
    alarm(`Not saved: ${error.message}. ${places.length === 1 ? "The decision was" : `${places.length} decisions were`} taken back.`, places[0]);
    render();
    sync().then(() => render(), () => {});
  },

  tell(tries = 0) {
    $("saving").textContent = tries ? "Not saved yet: trying again" : this.ops.length ? "Saving" : "Saved";
    $("saving").classList.toggle("trouble", tries > 0);
  },
};

/** Learn what was decided in another window. */
async function sync() {
  const answer = await ask(`/api/since/${synced}`);
  synced = latest = answer.version;
  take(answer.states);
  progress = answer.progress ?? progress;
}

// ---------------------------------------------------------------------------------------------------- deciding

/** @type {Op[]} */
const made = [];
/** @type {Op[][]} what each undo took back; nothing where only the server knows */
const undone = [];
let group = 0;

/** The places a key is about: what is selected in the grid, or the sample in focus. @returns {number[]} */
function targets() {
  if (mode === "grid" && selectedCount) return [...view.filter((i) => selected[i])];
  return at < view.length && !finished ? [view[at]] : [];
}

/** @param {string} action @param {number} [label] of the class, for `relabel` */
async function decide(action, label = -1) {
  const about = targets();
  if (!about.length) return;
  const items = about.map((i) => ({ i, before: outcome(i), after: after(i, action, label) })).filter((item) => item.after !== null);
  if (!items.length) return announce(`${about.length > 1 ? "These rows have" : `Row ${columns.row[about[0]]} has`} no suggestion to accept.`);
  if (items.length > ASK && !(await sure(items.length, action, label))) return;
  const fresh = items.filter(({ before, after: next }) => before.state !== next.state || before.label !== next.label);
  group++;
  if (fresh.length) undone.length = 0;
  for (let from = 0; from < fresh.length; from += BULK) {
    const op = { items: fresh.slice(from, from + BULK), group };
    for (const item of op.items) put(item.i, item.after);
    made.push(op);
    saver.push(op);
  }
  forward(items, action);
}

/** What an action makes of a row; null where it makes no sense. @param {number} i @param {string} action @param {number} label @returns {any} */
function after(i, action, label) {
  const [has, other] = [columns.given[i], columns.suggested[i]];
  if (action === "accept") return other < 0 ? null : { state: other === has ? "keep" : action, label: other };
  if (action === "keep" || (action === "relabel" && label === has)) return { state: "keep", label: has };
  if (action === "relabel") return { state: label === other ? "accept" : action, label };
  return { state: action, label: -1 };
}

/** Say what was done, and go to the next one that is open. @param {Item[]} items @param {string} action */
function forward(items, action) {
  const i = items[0].i;
  const done = items.length > 1 ? `${number(items.length)} rows: ${action === "accept" ? "changed to what was suggested" : action === "keep" ? "kept" : said(i)}` : `Row ${columns.row[i]}: ${said(i)}`;
  const bulk = selectedCount > 0;
  if (bulk) select(() => false);
  const next = nextOpen(bulk ? view.indexOf(items[items.length - 1].i) : at);
  if (next >= 0) at = anchor = next;
  finished = next < 0;
  render();
  announce(next < 0 ? `${done}. Nothing is left to decide here.` : `${done}. Now ${spoken(view[at])}`);
}

/** @param {number} i */
function spoken(i) {
  const other = columns.suggested[i];
  return `${nameOf(i)}${other >= 0 ? `, suggested ${classes[other]}` : ""}.`;
}

/** The next place without a decision, around the end; then those that were skipped; -1 when there is none. @param {number} from */
function nextOpen(from) {
  for (const wanted of [null, "skip"]) {
    for (let step = 1; step <= view.length; step++) {
      const next = (from + step) % view.length;
      if (columns.state[view[next]] === wanted && !(wanted === "skip" && next === from)) return next;
    }
  }
  return -1;
}

function undo() {
  let op = made.pop();
  while (op?.failed) op = made.pop();
  const same = op ? [op] : [];
  while (op && made.at(-1)?.group === op.group) same.push(/** @type {Op} */ (made.pop()));
  undone.push([...same].reverse());
  turn("undo", same, "before");
}

function redo() {
  const same = undone.pop() ?? [];
  made.push(...same);
  turn("redo", same, "after");
}

/** Give rows what they had before some ops, or after them. @param {"undo"|"redo"} way @param {Op[]} same @param {"before"|"after"} side */
function turn(way, same, side) {
  if (!same.length) return saver.push({ items: [], group: 0, turns: way, of: null });
  for (const one of same) {
    const items = one.items.map((item) => ({ i: item.i, before: outcome(item.i), after: item[side] }));
    for (const { i, after: next } of items) put(i, next);
    saver.push({ items, group: 0, turns: way, of: one });
  }
  const all = same.flatMap((one) => one.items);
  if (!all.length) return;
  show(all[0].i);
  render();
  announce(all.length > 1 ? `${number(all.length)} rows: ${TURNED[way]}.` : `Row ${columns.row[all[0].i]}: ${TURNED[way]}. Now ${spoken(all[0].i)}`);
}

/** Bring a sample into view, whatever the filters. @param {number} i */
function show(i) {
  if (!view.includes(i)) unfilter("all");
  at = anchor = view.indexOf(i);
  finished = false;
}

/** Move without deciding. @param {number} step @param {boolean} [extend] the selection */
function move(step, extend = false) {
  at = Math.min(Math.max(at + step, 0), Math.max(view.length - 1, 0));
  finished = false;
  if (extend) selectRange();
  else anchor = at;
  render();
  if (mode === "single" && view.length) announce(`${spoken(view[at])} ${said(view[at])}`);
}

/** @param {(at: number) => boolean} chosen */
function select(chosen) {
  selected.fill(0);
  selectedCount = 0;
  for (let k = 0; k < view.length; k++) if (chosen(k)) selectedCount += selected[view[k]] = 1;
  grid.refresh();
}

function selectRange() {
  const [low, high] = [Math.min(anchor, at), Math.max(anchor, at)];
  select((k) => k >= low && k <= high);
}

function toggle() {
  const i = view[at];
  if (i === undefined) return;
  selected[i] ^= 1;
  selectedCount += selected[i] ? 1 : -1;
  anchor = at;
  grid.refresh();
}

// ---------------------------------------------------------------------------------------------------- the grid

/** Only cells that can be seen are in the page. */
const grid = {
  /** @type {Map<number, HTMLElement>} by place in the view */ cells: new Map(),
  /** @type {WeakMap<HTMLElement, string>} what a cell was made of */ looks: new WeakMap(),
  across: 1, width: 0, height: 0, timer: 0, frame: 0,
  /** @type {Map<number, string>} */ excerpts: new Map(),

  clear() {
    for (const cell of this.cells.values()) cell.remove();
    this.cells.clear();
    $("grid").scrollTop = 0;
  },

  /** Measure, and start anew. */
  reset() {
    const focused = $("grid").contains(document.activeElement);
    this.clear();
    if (mode !== "grid" || $("gallery").hidden) return;
    const [least, height] = CELL[kind] ?? CELL.none;
    const room = $("grid").clientWidth - 24;
    this.across = Math.max(1, Math.floor((room + 8) / (Math.min(least, room) + 8)));
    this.width = (room - 8 * (this.across - 1)) / this.across;
    this.height = height + 8;
    $("sizer").style.height = `${Math.ceil(view.length / this.across) * this.height + 16}px`;
    this.reveal();
    if (focused) this.focus();
  },

  resize() {
    if (mode !== "grid" || $("gallery").hidden) return;
    const room = $("grid").clientWidth - 24;
    if (Math.abs(room - (this.width + 8) * this.across + 8) > 1) this.reset();
    else this.draw();
  },

  /** @returns {[number, number]} the first and behind the last place that can be seen, `extra` rows more on both sides */
  range(extra = 0) {
    const top = $("grid").scrollTop - 8;
    const low = Math.max(0, Math.floor(top / this.height) - extra);
    const high = Math.ceil((top + $("grid").clientHeight) / this.height) + extra;
    return [low * this.across, Math.min(view.length, high * this.across)];
  },

  draw() {
    const [low, high] = this.range(2);
    for (const [k, cell] of this.cells) if ((k < low || k >= high) && k !== at) this.drop(k, cell);
    const fresh = document.createDocumentFragment();
    for (let k = low; k < high; k++) if (!this.cells.has(k)) fresh.append(this.cell(k));
    if (at < view.length && !this.cells.has(at)) fresh.append(this.cell(at)); // focus must not get lost
    $("sizer").append(fresh);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), 60);
  },

  /** @param {number} k @param {HTMLElement} cell */
  drop(k, cell) {
    cell.remove();
    this.cells.delete(k);
  },

  /** @param {number} k */
  cell(k) {
    const cell = make("div", "cell", null, make("div", "picture"), make("div", "line"), make("div", "foot"));
    cell.setAttribute("role", "option");
    cell.setAttribute("aria-setsize", String(view.length));
    cell.setAttribute("aria-posinset", String(k + 1));
    cell.dataset.at = String(k);
    cell.style.width = `${this.width}px`;
    cell.style.height = `${this.height - 8}px`;
    cell.style.transform = `translate(${12 + (k % this.across) * (this.width + 8)}px, ${8 + Math.floor(k / this.across) * this.height}px)`;
    this.cells.set(k, cell);
    this.dress(k, cell);
    return cell;
  },

  /** What may change of a cell. @param {number} k @param {HTMLElement} cell */
  dress(k, cell) {
    const i = view[k];
    const look = [columns.state[i], columns.label[i], selected[i], k === at].join();
    if (this.looks.get(cell) === look) return;
    this.looks.set(cell, look);
    const other = columns.suggested[i];
    const line = [make("bdi", "", given(i))];
    if (other >= 0) line.push(make("span", "", " → "), make("bdi", "suggested", classes[other]));
    cell.children[1].replaceChildren(...line);
    const p = columns.p_wrong[i];
    const state = columns.state[i] === null ? make("span", "", p === null ? "" : percent(p)) : make("b", "", brief(outcome(i)));
    cell.children[2].replaceChildren(make("span", "", `row ${columns.row[i]}`), state);
    cell.classList.toggle("done", isDecided(columns.state[i]));
    cell.setAttribute("aria-selected", String(Boolean(selected[i])));
    cell.setAttribute("aria-label", `${spoken(i)} ${p === null ? "" : `${percent(p)} likely wrong. `}${said(i)}`);
    cell.tabIndex = k === at ? 0 : -1;
  },

  refresh() {
    for (const [k, cell] of this.cells) this.dress(k, cell);
    $("selected").textContent = `${selectedCount ? number(selectedCount) : "Nothing"} selected`;
    $("select-all").textContent = `All ${number(view.length)}`;
  },

  /** Refresh once, before the next frame. */
  later() {
    if (mode === "grid") this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.refresh(); });
  },

  /** Pictures and texts, when scrolling has paused. */
  async load() {
    const bare = [...this.cells].filter(([, cell]) => !cell.children[0].firstChild);
    if (kind === "image") for (const [k, cell] of bare) cell.children[0].append(picture(thumb(columns.row[view[k]], devicePixelRatio > 1 ? 256 : 192), nameOf(view[k])));
    if (kind === "none") for (const [k, cell] of bare) cell.children[0].append(make("bdi", "", keyOf(view[k])));
    if (kind !== "text" && kind !== "table") return;
    const rows = bare.map(([k]) => columns.row[view[k]]).filter((row) => !this.excerpts.has(row)).slice(0, 200);
    if (rows.length) {
      const found = await ask(`/api/excerpts?rows=${rows.join(",")}`).catch(() => ({ excerpts: {} }));
      for (const row of rows) this.excerpts.set(row, found.excerpts[row] ?? "");
    }
    for (const [k, cell] of bare) {
      const text = this.excerpts.get(columns.row[view[k]]);
      if (text !== undefined && !cell.children[0].firstChild) cell.children[0].append(make("bdi", "", text));
    }
  },

  /** Scroll to the one in focus. */
  reveal() {
    const top = 8 + Math.floor(at / this.across) * this.height;
    const box = $("grid");
    if (top < box.scrollTop) box.scrollTop = top - 8;
    else if (top + this.height > box.scrollTop + box.clientHeight) box.scrollTop = top + this.height - box.clientHeight;
    this.draw();
  },

  focus() {
    this.cells.get(at)?.focus({ preventScroll: true });
  },
};

// ---------------------------------------------------------------------------------------------------- one sample

/** @type {Recent<{promise: Promise<any>, data: any}>} */
const cards = new Recent(400);
/** @type {Recent<HTMLImageElement>} */
const images = new Recent(40);
let shown = -1;
/** @type {number[]} classes by the key 1-9 */
let digits = [];

/** @param {number} row */
function card(row) {
  return cards.get(row, () => {
    const entry = { data: null, promise: ask(`/api/card/${row}`) };
    entry.promise.then((data) => { entry.data = data; }, () => cards.known.delete(row));
    return entry;
  });
}

/** @param {number} i */
const image = (i) => images.get(columns.row[i], () => picture(full(columns.row[i]), nameOf(i)));

/** Fetch what comes next, two at a time, so that saving is not held up. */
const ahead = {
  /** @type {number[]} */ rows: [],
  running: 0,
  plan() {
    this.rows = [];
    for (let k = at + 1; k < Math.min(view.length, at + 2000) && this.rows.length < AHEAD; k++) if (columns.state[view[k]] === null) this.rows.push(view[k]);
    setTimeout(() => this.run(), 30);
  },
  async run() {
    while (this.running < 2 && this.rows.length) {
      const i = /** @type {number} */ (this.rows.shift());
      this.running++;
      const both = [card(columns.row[i]).promise, kind === "image" ? image(i).decode() : null];
      Promise.allSettled(both).then(() => { this.running--; this.run(); });
    }
  },
};

/** Show where we are, in either view. */
function render() {
  const none = view.length === 0 || finished;
  const lost = document.activeElement === document.body || $("single").contains(document.activeElement) || $("gallery").contains(document.activeElement);
  $("empty").hidden = !none;
  $("single").hidden = none || mode !== "single";
  const back = $("gallery").hidden;
  $("gallery").hidden = none || mode !== "grid";
  if (none) renderEmpty();
  else if (mode === "single") renderOne(view[at]);
  else if (back) grid.reset();
  else grid.reveal();
  if (!none && mode === "grid") grid.refresh();
  if (lost) (none ? $("empty") : mode === "grid" ? grid : $("single")).focus({ preventScroll: true });
  $("accept").setAttribute("aria-disabled", String(none || (mode === "single" && columns.suggested[view[at]] < 0)));
  showProgress();
}

function renderEmpty() {
  shown = -1;
  const all = decided === total;
  $("empty-title").textContent = total === 0 ? "There is nothing to review." : all ? "Everything is decided." : "Nothing is left to decide here.";
  $("empty-text").textContent = total === 0 || all ? "" : "Change the filter, or show all, to see more.";
  $("empty-command").hidden = !decided || !config.command;
  $("command").textContent = config.command ?? "";
  $("empty-all").hidden = total === 0;
}

/** @param {number} i */
function renderOne(i) {
  const row = columns.row[i];
  $("place").textContent = `${number(at + 1)} of ${number(view.length)} · row ${row}`;
  $("title").hidden = !columns.key;
  $("title").replaceChildren(make("bdi", "", keyOf(i)));
  renderLabels(i);
  const known = card(row);
  if (shown === i && $("evidence").dataset.row === String(row)) return renderOptions(i, known.data);
  if (shown !== i) $("single").scrollTop = 0;
  shown = i;
  ahead.plan();
  if (kind === "image") $("media").replaceChildren(make("figure", "", null, image(i)));
  if (known.data) return fillCard(i, known.data);
  for (const id of ["reasons", "options", "evidence"]) $(id).replaceChildren();
  $("evidence").dataset.row = "";
  digits = [];
  if (kind !== "image") $("media").replaceChildren(make("p", "far", "Loading"));
  known.promise.then((data) => shown === i && fillCard(i, data), (error) => shown === i && $("media").replaceChildren(make("p", "far", `This sample could not be loaded: ${error.message}`)));
}

/** @param {number} i */
function renderLabels(i) {
  const p = columns.p_wrong[i];
  const data = card(columns.row[i]).data;
  const parts = [make("dt", "", "given"), make("dd", "name", given(i)), make("dd", "p", p === null ? "" : `${percent(p)} likely wrong`)];
  if (columns.suggested[i] >= 0) {
    const confidence = data?.p_suggested == null ? "" : percent(data.p_suggested);
    parts.push(make("dt", "", "suggested"), make("dd", "name suggested", classes[columns.suggested[i]]), make("dd", "p", confidence));
  }
  if (columns.state[i] !== null) parts.push(make("dt", "", "decided"), make("dd", "decided", said(i)));
  $("labels").replaceChildren(...parts);
}

/** @param {number} i @param {any} data */
function fillCard(i, data) {
  $("evidence").dataset.row = String(columns.row[i]);
  renderLabels(i);
  const seen = kind === "image" ? [...$("media").querySelectorAll("figure")] : [];
  if (kind === "text") seen.push(make("pre", "", data.text ?? ""));
  if (kind === "none") seen.push(make("p", "far", "There are no pictures or texts to show: give the data to see them."));
  if (data.fields?.length) {
    const cells = data.fields.map(([/** @type {string} */ name, /** @type {string} */ value]) => make("tr", "", null, Object.assign(make("th", "", name), { scope: "row" }), make("td", "", value)));
    seen.push(make("div", "scroll", null, make("table", "", null, ...cells)));
  }
  $("media").replaceChildren(...seen);
  $("reasons").replaceChildren(...(data.reasons ?? []).map((/** @type {string} */ reason) => make("li", "", reason)));
  renderOptions(i, data);
  const sections = [];
  const near = (data.neighbours ?? []).map((/** @type {any} */ one) => sample(i, one.row, one.given, data, Number(one.distance).toPrecision(2)));
  if (data.duplicate_of) sections.push(strip("Nearly the same, with another label", [sample(i, data.duplicate_of.row, data.duplicate_of.given, data, "")]));
  if (near.length) sections.push(strip("Its nearest neighbours, their labels and distances", near));
  for (const [side, label] of [["given", columns.given[i]], ["suggested", columns.suggested[i]]]) {
    const rows = data.exemplars?.[side] ?? [];
    if (rows.length && label >= 0) sections.push(strip(`Typical of ${classes[label]}`, rows.map((/** @type {number} */ row) => sample(i, row, label, data))));
  }
  const history = (data.history ?? []).map((/** @type {any} */ one) => make("li", "history", [one.action, one.label, one.annotator && `by ${one.annotator}`, one.time?.replace("T", " ").slice(0, 19)].filter(Boolean).join(" ")));
  if (history.length) sections.push(make("section", "", null, make("h3", "", "History"), make("ul", "", null, ...history)));
  $("evidence").replaceChildren(...sections);
}

/** @param {string} title @param {HTMLElement[]} samples */
function strip(title, samples) {
  return make("section", "", null, make("h3", "", title), make("ul", `strip ${kind === "image" ? "" : "words"}`, null, ...samples));
}

/**
 * Another sample, small, with its label and a note where there is one.
 * @param {number} i @param {number} row @param {number} label @param {any} data @param {string} [note]
 */
function sample(i, row, label, data, note) {
  const name = classes[label];
  const one = make("li", label === columns.given[i] ? "same" : label === columns.suggested[i] ? "other" : "");
  if (kind === "image") one.append(picture(thumb(row), `row ${row}, given ${name}`));
  else one.append(make("p", "words-in", data.excerpts?.[row] ?? `row ${row}`));
  if (note !== undefined) one.append(make("p", "", null, make("span", "name", name), make("span", "far", ` ${note}`)));
  return one;
}

/** The classes that have keys. @param {number} i @param {any} data */
function renderOptions(i, data) {
  if (!data) return;
  const known = data.probabilities?.length > 0 && !(queue.hide_suggestion && columns.state[i] === null);
  const list = known ? data.probabilities : classes.slice(0, 9).map((/** @type {string} */ _, /** @type {number} */ c) => [c, null]);
  digits = list.slice(0, 9).map(([c]) => c);
  $("options").replaceChildren(...list.slice(0, 9).map(([c, p], /** @type {number} */ k) => {
    const fill = make("span", "fill");
    fill.style.width = `${100 * (p ?? 0)}%`;
    const button = make("button", p === null ? "plain" : "", null, make("kbd", "", k + 1), make("span", "name", classes[c]));
    if (p !== null) button.append(make("span", "track", null, fill), make("span", "p", percent(p)));
    button.classList.toggle("given", c === columns.given[i]);
    button.classList.toggle("suggested", c === columns.suggested[i]);
    button.setAttribute("type", "button");
    button.addEventListener("click", (event) => { decide("relabel", c); steady(event); });
    return make("li", "", null, button);
  }));
}

// ---------------------------------------------------------------------------------------------------- words

/** @param {string} text */
function announce(text) {
  $("live").textContent = text;
}

/** A message that stays. @param {string} text @param {number} [i] the sample it is about */
function alarm(text, i) {
  $("alert").hidden = false;
  $("alert").firstElementChild.textContent = text;
  $("alert-show").hidden = i === undefined;
  $("alert-show").onclick = () => { show(/** @type {number} */ (i)); cards.known.delete(columns.row[/** @type {number} */ (i)]); shown = -1; render(); $("alert").hidden = true; };
}

/** @param {number} minutes */
function duration(minutes) {
  return minutes < 1 ? "less than a minute" : minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}

function showProgress() {
  $("progress").max = Math.max(total, 1);
  $("progress").value = decided;
  const parts = [`${number(decided)} of ${number(total)} decided`];
  const rate = progress.per_minute;
  if (rate) parts.push(`${rate.toFixed(rate < 10 ? 1 : 0)} a minute, ${duration((total - decided) / rate)} to go`);
  const wrong = progress.precision;
  if (wrong) parts.push(`${percent(wrong.value)} of the checked were wrong (${percent(wrong.low)} to ${percent(wrong.high)})`);
  if (progress.expected_remaining != null) parts.push(`about ${number(Math.round(progress.expected_remaining))} wrong labels still to find`);
  $("numbers").textContent = parts.join(" · ");
  $("advice").textContent = progress.advice ?? "";
}

// ---------------------------------------------------------------------------------------------------- keys and buttons

/** Type to find a class. */
const search = {
  /** @type {number[]} */ found: [],
  at: 0,
  open() {
    if (!targets().length) return;
    $("class-search").value = "";
    $("classes").showModal();
    this.find();
  },
  find() {
    const part = $("class-search").value.trim().toLowerCase();
    const rank = (/** @type {string} */ name) => (name === part ? 0 : name.startsWith(part) ? 1 : name.includes(part) ? 2 : 3);
    const ranked = classes.map((/** @type {string} */ name, /** @type {number} */ c) => [rank(name.toLowerCase()), c]).filter(([r]) => r < 3);
    this.found = ranked.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, c]) => c).slice(0, 200);
    this.at = 0;
    this.draw();
  },
  draw() {
    const i = targets()[0];
    $("class-list").replaceChildren(...this.found.map((c, k) => {
      const hint = c === columns.given[i] ? "given" : c === columns.suggested[i] ? "suggested" : "";
      const option = make("li", "", null, make("bdi", "", classes[c]), make("small", "", hint));
      option.id = `class-${c}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(k === this.at));
      option.addEventListener("click", () => this.choose(c));
      return option;
    }));
    $("class-none").hidden = this.found.length > 0;
    this.mark();
  },
  mark() {
    const options = $("class-list").children;
    for (let k = 0; k < options.length; k++) options[k].setAttribute("aria-selected", String(k === this.at));
    $("class-search").setAttribute("aria-activedescendant", options[this.at]?.id ?? "");
    options[this.at]?.scrollIntoView({ block: "nearest" });
  },
  /** @param {number | undefined} c */
  choose(c) {
    if (c === undefined) return;
    $("classes").close();
    decide("relabel", c);
  },
  /** @param {KeyboardEvent} event */
  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step !== undefined) this.at = Math.min(Math.max(this.at + step, 0), this.found.length - 1);
    if (event.key === "Enter" && !event.isComposing) this.choose(this.found[this.at]);
    if (step === undefined && event.key !== "Enter") return;
    event.preventDefault();
    this.mark();
  },
};

/** @param {number} count @param {string} action @param {number} label @returns {Promise<boolean>} */
function sure(count, action, label) {
  const to = label >= 0 ? ` “${classes[label]}”` : action === "accept" ? " what is suggested" : action === "keep" ? " as given" : "";
  $("sure-title").textContent = `${number(count)} rows: ${MADE[action]}${to}?`;
  $("sure").returnValue = "";
  $("sure").showModal();
  return new Promise((done) => $("sure").addEventListener("close", () => done($("sure").returnValue === "yes"), { once: true }));
}

/** @param {string} next */
function setMode(next) {
  mode = next;
  shown = -1;
  for (const name of ["single", "grid"]) $(`to-${name}`).setAttribute("aria-pressed", String(mode === name));
  render();
  if (!finished && view.length) (mode === "grid" ? grid : $("single")).focus({ preventScroll: true });
}

/** @type {Record<string, () => unknown>} */
const actions = {
  ...Object.fromEntries(Object.keys(MADE).filter((name) => name !== "relabel").map((name) => [name, () => decide(name)])),
  search: () => search.open(), undo, back: () => move(-1), next: () => move(1),
  view: () => setMode(mode === "grid" ? "single" : "grid"), help: () => $("legend").showModal(),
  escape: () => (selectedCount ? select(() => false) : null), toggle,
};
const KEYS = { enter: "accept", a: "accept", k: "keep", s: "skip", " ": "skip", x: "ambiguous", n: "none_of_these", b: "bad", u: "undo", "/": "search", "?": "help", g: "view", escape: "escape", arrowleft: "back", j: "back", arrowright: "next", l: "next" };

/** @param {KeyboardEvent} event @returns {boolean} whether it did something */
function press(event) {
  const key = event.key.toLowerCase();
  const letter = key.length === 1 && key !== key.toUpperCase();
  if ((event.ctrlKey || event.metaKey) && !event.altKey && (key === "z" || (key === "y" && !event.shiftKey))) {
    if (key === "y" || event.shiftKey) redo();
    else undo();
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && letter)) return false;
  const inGrid = mode === "grid" && !$("gallery").hidden;
  if (inGrid && inside(key, event.shiftKey)) return true;
  if (mode === "single" && /^[1-9]$/.test(key)) {
    const c = digits[Number(key) - 1];
    if (c !== undefined && !event.repeat) decide("relabel", c);
    return true;
  }
  const action = inGrid && key === " " ? "toggle" : KEYS[key];
  if (action && (!event.repeat || action === "back" || action === "next")) actions[action]();
  return Boolean(action);
}

/** Keys of the grid alone. @param {string} key @param {boolean} shift */
function inside(key, shift) {
  const page = Math.max(1, Math.floor($("grid").clientHeight / grid.height)) * grid.across;
  const step = { arrowup: -grid.across, arrowdown: grid.across, arrowleft: -1, arrowright: 1, pageup: -page, pagedown: page, home: -view.length, end: view.length }[key];
  if (step === undefined) return false;
  move(step, shift);
  return true;
}

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  if (target.closest("input, textarea, select, [contenteditable]")) return;
  if (target.closest("button, a, summary") && (event.key === "Enter" || event.key === " ")) return; // they press the button
  if (press(event)) event.preventDefault();
});

/** After a click with the mouse, Enter must not press the same button again. @param {Event} event */
function steady(event) {
  const mouse = /** @type {MouseEvent} */ (event).detail > 0;
  const gone = !document.contains(document.activeElement) || document.activeElement === document.body;
  if ((mouse || gone) && !document.querySelector("dialog[open]")) (mode === "grid" ? grid : $("single")).focus({ preventScroll: true });
}

$("actions").addEventListener("click", (/** @type {MouseEvent} */ event) => {
  const button = /** @type {HTMLElement} */ (event.target).closest("button");
  if (!button) return;
  actions[/** @type {string} */ (button.dataset.do)]();
  steady(event);
});
$("grid").addEventListener("click", (/** @type {MouseEvent} */ event) => {
  const cell = /** @type {HTMLElement} */ (event.target).closest(".cell");
  if (!cell) return;
  at = Number(/** @type {HTMLElement} */ (cell).dataset.at);
  if (event.shiftKey) selectRange();
  else toggle();
  render();
  grid.focus();
});
$("grid").addEventListener("dblclick", (/** @type {MouseEvent} */ event) => /** @type {HTMLElement} */ (event.target).closest(".cell") && setMode("single"));
let scrolling = 0;
$("grid").addEventListener("scroll", () => { scrolling ||= requestAnimationFrame(() => { scrolling = 0; grid.draw(); }); }, { passive: true });
let resizing = 0;
new ResizeObserver(() => { clearTimeout(resizing); resizing = setTimeout(() => grid.resize(), 80); }).observe($("grid"));
$("select-page").addEventListener("click", () => { const [low, high] = grid.range(); select((k) => k >= low && k < high); });
$("select-all").addEventListener("click", () => select(() => true));
$("select-none").addEventListener("click", () => select(() => false));
$("to-single").addEventListener("click", () => setMode("single"));
$("to-grid").addEventListener("click", () => setMode("grid"));
$("help").addEventListener("click", () => $("legend").showModal());
$("alert-close").addEventListener("click", () => { $("alert").hidden = true; });
$("empty-all").addEventListener("click", () => unfilter("all"));
$("clear").addEventListener("click", () => unfilter("open"));
for (const name of fields) $(`f-${name}`).addEventListener(name === "key" ? "input" : "change", refilter);
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button) dialog.close(button.value);
  });
}
$("class-search").addEventListener("input", () => search.find());
$("class-search").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => search.key(event));

const THEMES = { "": ["Auto", "as the system"], light: ["Light", "light"], dark: ["Dark", "dark"] };

/** @param {string} name */
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = THEMES[name][0];
  $("theme").setAttribute("aria-label", `Colours: ${THEMES[name][1]}`);
}

$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
  setTheme(next);
  localStorage.setItem("thresher-theme", next);
});

window.addEventListener("beforeunload", (event) => { if (saver.ops.length) event.preventDefault(); });
window.addEventListener("focus", () => sync().then(render, () => {}));

const remembered = localStorage.getItem("thresher-theme") ?? "";
setTheme(Object.hasOwn(THEMES, remembered) ? remembered : "");
fillFilters();
$("filters").open = matchMedia("(min-width: 46rem)").matches;
refilter();
$("single").focus({ preventScroll: true });
document.documentElement.dataset.ready = "yes";
