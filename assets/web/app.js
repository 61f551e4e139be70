// The page at `/`: it follows the daemon over its WebSocket and changes it over REST.
//
// Documents come whole and then as patches (RFC 6902); a gap asks for the whole again. Pictures come as binary messages,
// for as long as the page is looked at. A token, where the daemon asks for one, stays in this tab and in no address.

const $ = (id) => document.getElementById(id);
const TOKEN = "stream-manager.token";
const PREVIEW_WIDTH = 1280;
const RECONNECT_MS = 1500;
const METER_FLOOR_DB = -60;

/** What is known of each stream. */
const streams = new Map();
let chosen = null;
let socket = null;
let noticeTimer = 0;

// ---- Asking ----

const token = () => sessionStorage.getItem(TOKEN);

/** Asks until a token lets us in, or none is needed. */
async function ask(method, path, body) {
  for (;;) {
    const headers = {};
    if (token()) headers.Authorization = `Bearer ${token()}`;
    if (body !== undefined) headers["Content-Type"] = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    if (response.status !== 401) return response;
    await login();
  }
}

let asking = null;
function login() {
  asking ??= new Promise((done) => {
    $("login").addEventListener("close", () => {
      sessionStorage.setItem(TOKEN, $("token").value);
      $("token").value = "";
      asking = null;
      done();
    }, { once: true });
    $("login").showModal();
  });
  return asking;
}

/** Does something, and says so if it was refused. */
async function change(method, path, body) {
  try {
    const response = await ask(method, `/api/v1/streams/${encodeURIComponent(chosen)}${path}`, body);
    if (!response.ok) notify((await response.json()).detail ?? response.statusText);
  } catch {
    notify("The daemon does not answer.");
  }
  show();
}

function notify(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { $("notice").hidden = true; }, 6000);
}

// ---- Following ----

async function connect() {
  try {
    // A WebSocket does not say why it was refused, so REST is asked first.
    await ask("GET", "/api/v1/streams");
  } catch {
    return lost();
  }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const protocols = token() ? ["stream-manager", `bearer.${token()}`] : ["stream-manager"];
  socket = new WebSocket(`${scheme}://${location.host}/api/v1/events`, protocols);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    streams.clear();
    link("live", "live");
    say({ subscribe: "state" });
    say({ subscribe: "stats", intervalMs: 1000 });
    say({ subscribe: "meters", intervalMs: 100 });
    watch();
  };
  socket.onmessage = ({ data }) => (typeof data === "string" ? hear(JSON.parse(data)) : picture(data));
  socket.onclose = lost;
}

function lost() {
  socket = null;
  link("lost", "reconnecting");
  setTimeout(connect, RECONNECT_MS);
}

function link(state, text) {
  $("link").dataset.state = state;
  $("link").textContent = text;
}

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** Pictures of the chosen stream, while somebody looks. */
function watch() {
  say({ unsubscribe: "preview" });
  if (chosen && !document.hidden) say({ subscribe: "preview", stream: chosen, width: PREVIEW_WIDTH, quality: 75, fps: 12.5 });
}

function hear(message) {
  const known = streams.get(message.stream);
  switch (message.type) {
    case "state":
      streams.set(message.stream, { ...known, revision: message.revision, document: message.document });
      break;
    case "patch":
      if (known?.revision !== message.fromRevision) return say({ resync: message.stream });
      known.document = patched(known.document, message.patch);
      known.revision = message.revision;
      break;
    case "deleted":
      streams.delete(message.stream);
      break;
    case "stats":
      if (known) known.status = message.status;
      break;
    case "meters":
      if (message.stream === chosen) meters(message);
      return;
    case "error":
      return notify(message.problem.detail);
    default:
      return;
  }
  choose(streams.has(chosen) ? chosen : streams.keys().next().value ?? null);
}

/** The document after a patch's operations: those that a difference is made of. */
function patched(document, operations) {
  for (const { op, path, value } of operations) {
    if (path === "") { document = value; continue; }
    const tokens = path.slice(1).split("/").map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = tokens.pop();
    const parent = tokens.reduce((node, token) => node[token], document);
    if (Array.isArray(parent) && op !== "replace") {
      const at = last === "-" ? parent.length : Number(last);
      if (op === "add") parent.splice(at, 0, value); else parent.splice(at, 1);
    } else if (op === "remove") {
      delete parent[last];
    } else {
      parent[last] = value;
    }
  }
  return document;
}

/** A binary message: kind, length of the id, id, frame, time, width, height, JPEG. */
async function picture(data) {
  const view = new DataView(data);
  const start = 2 + view.getUint8(1);
  const stream = new TextDecoder().decode(new Uint8Array(data, 2, start - 2));
  if (view.getUint8(0) !== 1 || stream !== chosen) return;
  const [width, height] = [view.getUint16(start + 16), view.getUint16(start + 18)];
  const bitmap = await createImageBitmap(new Blob([new Uint8Array(data, start + 20)], { type: "image/jpeg" }));
  const canvas = $("picture");
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}

// ---- Showing ----

function choose(id) {
  const isNew = id !== chosen;
  chosen = id;
  if (isNew) {
    clear();
    watch();
  }
  show();
}

function clear() {
  const canvas = $("picture");
  const size = streams.get(chosen)?.document.canvas;
  Object.assign(canvas, { width: size?.width ?? 16, height: size?.height ?? 9 });
  meters({ peakDbfs: [-100, -100] });
}

/** An element with properties and children. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Puts `items` into a list, keeping the elements of those that are there: what has the focus keeps it. */
function list(parent, items, key, render, none) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const children = items.map((item) => {
    const element = old.get(key(item)) ?? make("li");
    element.dataset.key = key(item);
    render(element, item);
    return element;
  });
  parent.replaceChildren(...(children.length ? children : [make("li", { className: "none", textContent: none })]));
}

function show() {
  const stream = streams.get(chosen);
  $("empty").hidden = streams.size > 0 || !socket;
  document.querySelector("main").hidden = !stream;
  showStreams();
  if (!stream) return;
  const { document: shown, status = {} } = stream;
  document.title = `${shown.name || shown.id} – stream-manager`;
  showTransport(shown);
  showFigures(shown, status);
  showScenes(shown);
  showLayers(shown, status);
  showOutputs(shown, status);
}

function showStreams() {
  const button = ([id, { document: shown }]) => {
    const name = shown.name || id;
    const tab = make("button", { textContent: name, title: name, onclick: () => choose(id) });
    tab.setAttribute("aria-pressed", id === chosen);
    return tab;
  };
  $("streams").replaceChildren(...[...streams].map(button));
}

const STATES = { running: "On air", paused: "Paused", failed: "Failed", stopped: "Stopped" };

function showTransport({ state }) {
  const isUp = state === "running" || state === "paused";
  $("tally").hidden = state === "stopped";
  $("tally").dataset.state = state;
  $("tally").textContent = STATES[state] ?? state;
  $("nothing").textContent = isUp ? "" : state === "failed" ? "The stream did not start" : "Nothing is on air";
  $("picture").style.visibility = isUp ? "visible" : "hidden";
  const actions = isUp
    ? [state === "paused" ? ["resume", "Resume"] : ["pause", "Pause"], ["stop", "Stop"]]
    : [["start", "Start"]];
  const wanted = actions.map(([name]) => name).join();
  if ($("transport").dataset.actions === wanted) return;
  $("transport").dataset.actions = wanted;
  $("transport").replaceChildren(...actions.map(([name, text]) =>
    make("button", { textContent: text, onclick: () => change("POST", `/${name}`) })));
}

function showFigures({ canvas }, status) {
  const figures = [
    ["Canvas", `${canvas.width}×${canvas.height}, ${canvas.fps} fps`],
    ["Frames per second", (status.activeFps ?? 0).toFixed(1)],
    ["Bitrate", `${status.encoder?.bitrateKbps ?? 0} kbit/s`],
    ["Encoder", status.encoder?.backend ?? "none"],
    ["Up", time(status.uptimeMs ?? 0)],
    ["Frames drawn", status.renderTotalFrames ?? 0],
    ["Frames repeated", status.renderRepeatedFrames ?? 0],
    ["Frames dropped", status.encodeDroppedFrames ?? 0],
    ["Drawing a frame", `${status.averageFrameRenderMs ?? 0} ms`],
    ["GPU", status.gpu?.adapter ?? ""],
  ];
  $("figures").replaceChildren(...figures.map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value, title: value }))));
}

function time(ms) {
  const [seconds, minutes, hours] = [ms / 1000, ms / 60000, ms / 3600000].map(Math.floor);
  const two = (number) => String(number % 60).padStart(2, "0");
  return `${hours}:${two(minutes)}:${two(seconds)}`;
}

/** The scene on air, or that to which a take leads. */
function onAir(shown) {
  if (!shown.scenes) return { layers: shown.layers ?? [] };
  const program = typeof shown.program === "string" ? shown.program : shown.program?.scene ?? shown.program?.to;
  return shown.scenes.find(({ id }) => id === program) ?? shown.scenes[0];
}

function showScenes(shown) {
  const scenes = shown.scenes ?? [];
  $("sceneCard").hidden = scenes.length < 2;
  const current = onAir(shown).id;
  $("scenes").replaceChildren(...scenes.map(({ id, name }) => {
    const button = make("button", { textContent: name || id, onclick: () => change("POST", "/take", { scene: id }) });
    button.setAttribute("aria-pressed", id === current);
    return button;
  }));
}

function showLayers(shown, status) {
  const layers = [...onAir(shown).layers].sort((a, b) => (b.zIndex ?? 0) - (a.zIndex ?? 0));
  $("count").textContent = layers.length || "";
  const problems = new Map((status.layerErrors ?? []).map(({ layer, message }) => [layer, message]));
  list($("layers"), layers, ({ id }) => id, (row, { id, name, enabled, content }) => {
    const isOn = enabled !== false;
    const problem = problems.get(id);
    row.classList.toggle("off", !isOn);
    row.replaceChildren(
      named(name || id, problem ?? content.type, Boolean(problem)),
      toggle(row, isOn, `Layer ${name || id}`, (enabled) => change("PATCH", `/layers/${encodeURIComponent(id)}`, { enabled })),
    );
  }, "This scene has no layers.");
}

const GOOD = ["publishing", "recording"];
const BAD = ["refused", "stalled", "failed"];

function showOutputs(shown, status) {
  const live = new Map((status.outputs ?? []).map((output) => [output.id, output]));
  list($("outputs"), shown.outputs ?? [], ({ id }) => id, (row, { id, url, enabled }) => {
    const now = live.get(id);
    const state = now?.state ?? (enabled ? "idle" : "off");
    const trouble = GOOD.includes(state) ? null : now?.lastError;
    const colour = GOOD.includes(state) ? "good" : BAD.includes(state) ? "bad" : now ? "warn" : "";
    row.classList.toggle("off", !enabled);
    row.replaceChildren(
      make("i", { className: `dot ${colour}`, title: state }),
      named(id, trouble ? `${words(state)}: ${text(trouble)}` : `${words(state)}${url ? ` · ${url}` : ""}`, Boolean(trouble)),
      make("span", { className: "rate", textContent: now && GOOD.includes(state) ? `${now.bitrateKbps} kbit/s` : "" }),
      toggle(row, enabled, `Output ${id}`, (on) => change("POST", `/outputs/${encodeURIComponent(id)}/${on ? "start" : "stop"}`)),
    );
  }, "It goes nowhere yet.");
}

/** `backingOff` as people write it. */
const words = (state) => state.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
const text = (error) => (typeof error === "string" ? error : error.message ?? error.detail ?? "failed");

function named(name, detail, isBad) {
  return make("div", { className: "name" }, make("b", { textContent: name, title: name }),
    make("small", { textContent: detail, title: detail, className: isBad ? "bad" : "" }));
}

/** The switch of a row, the one that it has if it has one. */
function toggle(row, isOn, label, act) {
  const box = row.querySelector("input") ?? make("input", { type: "checkbox", className: "switch" });
  box.setAttribute("role", "switch");
  box.setAttribute("aria-label", label);
  box.checked = isOn;
  box.onchange = () => act(box.checked);
  return box;
}

function meters({ peakDbfs, shortTermLufs }) {
  const level = (db) => Math.max(0, Math.min(1, 1 - db / METER_FLOOR_DB));
  $("left").style.setProperty("--level", level(peakDbfs[0]).toFixed(3));
  $("right").style.setProperty("--level", level(peakDbfs[1]).toFixed(3));
  $("loudness").textContent = shortTermLufs > -99 ? `${shortTermLufs.toFixed(1)} LUFS` : "silent";
}

document.addEventListener("visibilitychange", watch);
connect();
