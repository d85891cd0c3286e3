// What those may do who may: commands, quarantine, the configuration, the flight recorder, a device tried.

import { by, bytes, duration, make, number, rows, say } from "/dom.js";
import { ask, get, may, onKnown } from "/session.js";

const LINES_MAX = 200;

const time = (text) => new Date(text).toLocaleString("en-GB");

// What was pressed does nothing more until its answer is there; what went wrong is told beside it.
function on(id, happens, where, act) {
  by(id).addEventListener(happens, async (event) => {
    event.preventDefault();
    const pressed = [...by(id).querySelectorAll("button")].concat(by(id)).filter((one) => "disabled" in one);
    const focused = document.activeElement;
    say(by(where), "");
    pressed.forEach((button) => { button.disabled = true; });
    try {
      await act(event);
    } catch (cause) {
      say(by(where), cause.message);
    } finally {
      pressed.forEach((button) => { button.disabled = false; });
      // What is switched off loses the keyboard's place.
      if (document.activeElement === document.body) focused.focus();
    }
  });
}

function button(text, about, act) {
  const made = make("button", "small", text);
  made.type = "button";
  made.setAttribute("aria-label", text + ": " + about);
  made.addEventListener("click", act);
  return made;
}

// -- commands

let command = null;

// The button of a tag that may be written.
export function writeButton(tag, shown) {
  const name = tag.device + "." + tag.tag;
  const made = button(tag.write.kind === "alarm" ? "Answer" : "Write", name, () => openCommand(tag, shown()));
  made.classList.add("needs-" + tag.write.role);
  return made;
}

function openCommand(tag, shown) {
  const isAlarm = tag.write.kind === "alarm";
  // One opening is one command: pressed twice, it is executed once.
  command = { tag, id: "page-" + Date.now() + "-" + Math.random().toString(36).slice(2) };
  say(by("command-title"), (isAlarm ? "Answer " : "Write ") + tag.device + "." + tag.tag);
  say(by("command-now"), "It holds " + shown + (tag.unit ? " " + tag.unit : "") + ".");
  const { min, max, step } = tag.write;
  const bounds = [tag.write.type, min !== null && "from " + min, max !== null && "up to " + max, step !== null && "in steps of " + step];
  say(by("command-bounds"), bounds.filter((part) => part).join(", "));
  say(by("command-told"), "");
  by("command-by-value").hidden = isAlarm;
  by("command-by-word").hidden = !isAlarm;
  by("command-value").required = !isAlarm;
  by("command-value").value = "";
  by("command").showModal();
  by(isAlarm ? "command-word" : "command-value").focus();
}

function inWords(answer) {
  const held = answer.held === undefined || answer.held === null ? "" : " It holds " + JSON.stringify(answer.held) + ".";
  const why = answer.reason ? ": " + answer.reason : "";
  return answer.result + (answer.refused ? ", " + answer.refused : "") + why + "." + held;
}

on("command-form", "submit", "command-told", async () => {
  const { tag, id } = command;
  const text = tag.write.kind === "alarm" ? by("command-word").value : by("command-value").value;
  try {
    say(by("command-told"), inWords(await ask("commands", { id, device: tag.device, tag: tag.tag, text })));
  } catch (cause) {
    if (!cause.told || !cause.told.result) throw cause;
    say(by("command-told"), inWords(cause.told));
  }
  // What comes next is another command, and not this one once more.
  command.id = "page-" + Date.now() + "-" + Math.random().toString(36).slice(2);
});
by("command-close").addEventListener("click", () => by("command").close());

// -- quarantine

// What uplinks counted when the list was fetched; null: it is to be fetched.
let keptFor = null;
// The counts tell of what is new in the list, not of what left it.
setInterval(() => { keptFor = null; }, 10000);

async function showQuarantine(uplinks) {
  const lists = await Promise.all(uplinks.map((uplink) => get("quarantine?" + new URLSearchParams({ uplink }))));
  const kept = lists.flatMap((list) => list.messages.map((message) => ({ ...message, uplink: list.uplink })));
  say(by("quarantine-sum"), kept.length === 0 ? "empty" : number(kept.length) + (kept.length === 1 ? " message" : " messages"));
  by("quarantine-table").hidden = kept.length === 0;
  by("quarantine-buttons").hidden = kept.length === 0;
  const named = (message) => message.uplink + " " + message.number;
  const made = rows(by("quarantine-rows"), kept, named, ["Topic", "Readings", "Reason", "Message"]);
  kept.forEach((message, place) => {
    const [head, topic, readings, reason, whole] = made[place].children;
    if (!head.querySelector("input")) {
      const box = make("input");
      box.type = "checkbox";
      const label = make("label", "choice");
      label.append(box, named(message));
      head.replaceChildren(label);
      whole.append(button("Show", named(message), () => showMessage(message)));
    }
    const box = head.querySelector("input");
    // A number that bears another message than the one that was chosen is not chosen.
    const what = [message.epoch, message.first, message.last, message.topic].join(" ");
    if (box.dataset.what !== what) box.checked = false;
    Object.assign(box.dataset, { uplink: message.uplink, number: message.number, what });
    say(topic, message.topic || "cannot be understood");
    say(readings, message.first === null ? "not known" : message.first + " to " + message.last);
    say(reason, message.reason || "not known");
  });
}

async function showMessage({ uplink, number }) {
  say(by("message-title"), "Message " + number + " of " + uplink);
  by("message").showModal();
  try {
    const message = await get("quarantine/message?" + new URLSearchParams({ uplink, number }));
    say(by("message-text"), message.reason + "\n\n" + (message.payload || message.payload_hex || ""));
  } catch (cause) {
    say(by("message-text"), cause.message);
  }
}
by("message-close").addEventListener("click", () => by("message").close());

async function forChosen(path) {
  const chosen = new Map();
  for (const box of by("quarantine-rows").querySelectorAll("input:checked")) {
    const { uplink, number } = box.dataset;
    chosen.set(uplink, (chosen.get(uplink) || []).concat(Number(number)));
  }
  if (chosen.size === 0) throw new Error("Choose messages first.");
  for (const [uplink, numbers] of chosen) await ask(path, { uplink, numbers });
  // The numbers of the others are new.
  by("quarantine-rows").replaceChildren();
  keptFor = null;
}

on("quarantine-retry", "click", "quarantine-told", async () => {
  await forChosen("quarantine/retry");
  say(by("quarantine-done"), "They are sent again as soon as the uplink is connected. What the far side takes leaves this list.");
});
on("quarantine-drop", "click", "quarantine-told", async () => {
  if (!confirm("Drop the chosen messages for good?")) return;
  await forChosen("quarantine/drop");
  say(by("quarantine-done"), "Dropped.");
});

// -- the configuration

async function loadConfig() {
  const config = await get("config");
  say(by("config-file"), config.file);
  by("config-text").value = config.text;
}

function showConfigState(state) {
  by("config-wrong").hidden = !state || !state.error;
  say(by("config-error"), state && state.error ? state.error : "");
  const until = state && state.confirm_until;
  by("config-waits").hidden = !until;
  if (until) say(by("config-until"), "A change of the configuration (" + state.changed + ") is taken back at " + new Date(until).toLocaleTimeString("en-GB") + " unless it is kept.");
  if (!state) return;
  const changed = state.changes === 0 ? "as at the start" : number(state.changes) + (state.changes === 1 ? " change, " : " changes, the last ") + time(state.applied_at);
  say(by("config-sum"), changed + (state.in_file ? "" : ", not in the file"));
}

const report = (text) => { say(by("config-report"), text); by("config-report").hidden = !text; };

on("config-load", "click", "config-told", loadConfig);
on("config-check", "click", "config-told", async () => {
  report("");
  const found = await ask("config/check", by("config-text").value, "application/yaml");
  report((found.valid ? "It is right. It would change: " + found.changes + ".\n" : "It is wrong.\n") + found.report);
});
on("config-apply", "click", "config-told", async () => {
  report("");
  const within = by("config-within").value;
  const applied = await ask("config/apply?confirm_within=" + within, by("config-text").value, "application/yaml");
  report("Applied: " + applied.changes + "." + (applied.not_in_file && within === "0" ? "\nNot in the file: " + applied.not_in_file : ""));
});
on("config-confirm", "click", "config-told", async () => {
  await ask("config/confirm", {});
  report("It stays.");
});
for (const id of ["config-roll-back", "config-take-back"]) {
  on(id, "click", "config-told", async () => {
    report("Taken back: " + (await ask("config/roll-back", {})).changes + ".");
    await loadConfig();
  });
}
by("config-fold").addEventListener("toggle", () => {
  if (by("config-fold").open && !by("config-text").value) by("config-load").click();
});

// -- the flight recorder

async function showRecordings() {
  const found = await get("recordings");
  const lines = found.lines.slice(0, LINES_MAX);
  say(by("recorder-sum"), found.lines.length > LINES_MAX ? "the first " + LINES_MAX + " of " + number(found.lines.length) + " lines" : "");
  const made = rows(by("recorder-rows"), lines, (line) => line.line, ["Devices", "Recorded", "Frames in the log", "Recording"]);
  lines.forEach((line, place) => {
    const [, devices, held, decoding, recording] = made[place].children;
    say(devices, line.devices.join(", "));
    say(held, bytes(line.recorded_bytes));
    if (!decoding.firstChild) {
      decoding.append(button("", line.line, () => decode(line.line, decoding.firstChild.dataset.on !== "true")));
      recording.append(
        link("Download", line.line, "recordings/now?" + new URLSearchParams({ device: line.line })), " ",
        button("Save", line.line, () => save(line.line)));
    }
    say(decoding.firstChild, line.decoding ? "On" : "Off");
    decoding.firstChild.dataset.on = line.decoding;
    decoding.firstChild.setAttribute("aria-label", decoding.firstChild.textContent + ": frames of " + line.line + " in the log");
  });
  const saved = rows(by("recording-rows"), found.saved, (one) => one.name, ["Saved", "Size"]);
  found.saved.forEach((one, place) => {
    const [head, at, size] = saved[place].children;
    head.replaceChildren(link(one.name, "saved recording", "recordings/file?" + new URLSearchParams({ name: one.name })));
    say(at, time(one.time));
    say(size, bytes(one.bytes));
  });
  by("recording-table").hidden = found.saved.length === 0;
}

function link(text, about, path) {
  const made = make("a", "", text);
  made.href = "/api/v1/" + path;
  made.setAttribute("aria-label", text + ": " + about);
  return made;
}

const tell = (act) => act.then(showRecordings).catch((cause) => say(by("recorder-told"), cause.message));
const decode = (device, decoding) => tell(ask("recordings/decoding", { device, decoding }));
const save = (device) => tell(ask("recordings/save", { device }));
on("recorder-look", "click", "recorder-told", showRecordings);
by("recorder-fold").addEventListener("toggle", () => {
  if (by("recorder-fold").open) by("recorder-look").click();
});

// -- a device tried

// As a shell wants it.
function quoted(text) {
  return /^[\w:.,;=\/@-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'";
}

function showTried(heads, lines) {
  const table = by("try-table");
  table.tHead.rows[0].replaceChildren(...heads.map((head) => Object.assign(make("th", "", head), { scope: "col" })));
  table.tBodies[0].replaceChildren(...lines.map((line) => {
    const row = make("tr");
    row.append(...line.map((text, place) => {
      const cell = make(place === 0 ? "th" : "td", "", text);
      if (place > 0) cell.dataset.label = heads[place]; else cell.scope = "row";
      return cell;
    }));
    return row;
  }));
  table.hidden = false;
}

on("try-form", "submit", "try-wrong", async (event) => {
  const url = by("url").value.trim();
  const lines = by("addresses").value.split("\n").map((line) => line.trim()).filter((line) => line);
  const browses = event.submitter && event.submitter.name === "browse";
  const words = browses ? ["browse", url, ...lines.slice(0, 1)] : ["read", url, ...lines];
  say(by("try-command"), "forebay " + words.map(quoted).join(" "));
  by("try-command").hidden = false;
  by("try-table").hidden = true;
  if (browses) {
    const found = await ask("browse", { url, place: lines[0] || "" });
    showTried(["Name", "Address", "Kind", "Type"], found.entries.map((one) => [one.name, one.address, one.kind, one.type]));
  } else {
    const found = await ask("read", { url, addresses: lines });
    showTried(["Address", "Value", "Quality"],
      found.readings.map((one) => [one.address, one.text, one.quality + (one.reason ? ": " + one.reason : "")]));
  }
});

// -- what the page hears

export function hear(status) {
  showConfigState(status.configuration);
  if (!may("operator")) return;
  const uplinks = status.uplinks.map((uplink) => uplink.name);
  const counts = status.uplinks.map((uplink) => uplink.name + " " + uplink.quarantined_messages).join("\n");
  if (counts === keptFor) return;
  keptFor = counts;
  showQuarantine(uplinks).catch((cause) => say(by("quarantine-told"), cause.message));
}

// Another may see other lists.
onKnown(() => { keptFor = null; });
