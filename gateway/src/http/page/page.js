// The status page: listens to /api/v1/live and shows what comes.

import { by, bytes, duration, make, number, pill, rows, say, share, short, stateInto } from "/dom.js";
import { may, onKnown, who } from "/session.js";
import { hear, writeButton } from "/tools.js";

const TREND_POINTS_MAX = 120;
const EVENTS_MAX = 200;
const SILENT_MS_MAX = 5000;
const TREND_BACK_S = 120;

let source = null;
let heardAt = Date.now();
let clockAheadMs = 0;
let tags = [];
let before = null;

// -- what comes

function showDevices(status) {
  const devices = status.lines.flatMap((line) => line.devices);
  const up = devices.filter((device) => device.state === "up").length;
  say(by("devices-sum"), up + " of " + devices.length + " up");
  // What is wrong stands first.
  const shown = devices.map((device, place) => ({ device, place }));
  shown.sort((a, b) => (a.device.state === "up") - (b.device.state === "up") || a.place - b.place);
  const cells = ["", "Last answer", "Poll time of interval", "Unanswered", "Missed cycles", "Bad tags"];
  const made = rows(by("device-rows"), shown.slice(0, 500), (item) => item.device.name, cells);
  shown.slice(0, 500).forEach(({ device }, place) => {
    const [, state, answered, poll, silent, missed, bad] = made[place].children;
    const kind = device.state !== "up" ? (device.state === "connecting" ? "" : "bad") : device.bad_tags > 0 ? "" : "good";
    stateInto(state, kind, device.state === "up" && device.bad_tags > 0 ? "up, bad tags" : device.state, device.reason);
    say(answered, device.answered_ago_ms === null ? "never" : duration(device.answered_ago_ms) + " ago");
    if (!poll.firstChild) {
      const meter = make("meter");
      meter.max = 100; meter.low = 60; meter.high = 90; meter.optimum = 0;
      meter.setAttribute("aria-label", "poll time as a share of the interval");
      poll.append(meter, make("span"));
    }
    const percent = device.every_ms > 0 ? 100 * device.last_poll_ms / device.every_ms : 0;
    poll.children[0].value = Math.min(percent, 100);
    say(poll.children[1], duration(device.last_poll_ms) + " of " + duration(device.every_ms) + " (" + share(percent) + ")");
    say(silent, number(device.silent_polls) + " of " + number(device.polls));
    say(missed, number(device.missed_cycles));
    say(bad, device.bad_tags === null ? "not known" : number(device.bad_tags));
  });
}

function showUplinks(status, seconds) {
  by("uplinks-none").hidden = status.uplinks.length > 0;
  by("uplink-table").hidden = status.uplinks.length === 0;
  const cells = ["", "Waiting", "Rate", "Delivered", "Refused", "Set aside"];
  const made = rows(by("uplink-rows"), status.uplinks, (uplink) => uplink.name, cells);
  status.uplinks.forEach((uplink, place) => {
    const [, state, lag, rate, delivered, refused, quarantine] = made[place].children;
    const backlog = uplink.connected && uplink.history_share_percent > 0;
    const words = !uplink.connected ? "not connected" : backlog ? "connected, backlog drains" : "connected";
    stateInto(state, uplink.connected ? "good" : "bad", words,
      uplink.connected ? "" : "readings wait in the buffer; the events below say why");
    say(lag, number(uplink.lag_readings) + " readings");
    const old = before && before.uplinks.find((other) => other.name === uplink.name);
    if (old && seconds > 0) {
      const readings = Math.max(0, uplink.delivered_readings - old.delivered_readings) / seconds;
      const sent = Math.max(0, uplink.sent_bytes - old.sent_bytes) / seconds;
      say(rate, number(Math.round(readings)) + " readings/s, " + bytes(sent) + "/s");
    } else if (!rate.textContent) say(rate, "not known yet");
    say(delivered, number(uplink.delivered_readings));
    say(refused, number(uplink.refused_messages));
    say(quarantine, number(uplink.quarantined_messages));
  });
}

function facts(list, pairs) {
  while (list.children.length > pairs.length) list.lastChild.remove();
  pairs.forEach(([name, value], place) => {
    let fact = list.children[place];
    if (!fact) {
      fact = make("div");
      fact.append(make("dt"), make("dd"));
      list.append(fact);
    }
    say(fact.children[0], name);
    say(fact.children[1], value);
  });
}

function showBuffer(status) {
  const buffer = status.buffer;
  const used = buffer.size_max_bytes > 0 && buffer.disk_bytes !== null ? 100 * buffer.disk_bytes / buffer.size_max_bytes : 0;
  const perDay = status.uptime_s > 60 && buffer.device_bytes !== undefined
    ? ", " + bytes(buffer.device_bytes / status.uptime_s * 86400) + " a day" : "";
  facts(by("buffer-facts"), [
    ["State", buffer.writable ? "takes readings" : "▲ takes no readings"],
    ["Size", bytes(buffer.disk_bytes) + " of " + bytes(buffer.size_max_bytes) + " (" + share(used).replaceAll(" ", "\u00a0") + ")"],
    ["Oldest reading", buffer.oldest_age_s === null ? "none" : duration(buffer.oldest_age_s * 1000) + " old"],
    ["Readings stored since the start", number(buffer.accepted_readings)],
    ["Written to the card", bytes(buffer.device_bytes) + " in " + number(buffer.syncs) + " syncs" + perDay],
    ["A power cut would take", bytes(buffer.unsynced_bytes)],
    ["Failed syncs", number(buffer.sync_failures)],
  ]);
  const losses = Object.entries(buffer.losses);
  facts(by("loss-facts"), losses.length === 0 ? [["Lost readings", "none"]] :
    losses.map(([reason, count]) => ["▲ " + reason, number(count) + " readings"]));
}

function showStatus(status) {
  const now = Date.now();
  const seconds = before ? (now - before.at) / 1000 : 0;
  say(by("gateway"), status.gateway);
  document.title = (status.ready ? "" : "▲ ") + status.gateway + " – Forebay";
  pill(by("state"), status.ready ? "good" : "bad", status.ready ? "readings flow" : "readings do not flow");
  say(by("about"), "Forebay " + status.version + ", up " + duration(status.uptime_s * 1000));
  const reasons = by("reasons");
  reasons.hidden = status.reasons.length === 0;
  const words = status.reasons.join("\n");
  if (reasons.dataset.words !== words) {
    reasons.dataset.words = words;
    reasons.replaceChildren(...status.reasons.map((reason) => make("li", "", reason)));
  }
  clockAheadMs = Date.parse(status.time) - now;
  showDevices(status);
  showUplinks(status, seconds);
  showBuffer(status);
  hear(status);
  before = Object.assign(status, { at: now });
}

function showTags(given) {
  const old = new Map(tags.map((tag) => [tag.name, tag]));
  say(by("tags-sum"), given.shown.length < given.tags ? given.shown.length + " of " + number(given.tags) + ", filter to see others" : number(given.tags));
  const made = rows(by("tag-rows"), given.shown, (tag) => tag.device + "." + tag.tag, ["Value", "Quality", "Age", "Trend"]);
  tags = given.shown.map((tag, place) => {
    const name = tag.device + "." + tag.tag;
    const [, value, quality, age, trend] = made[place].children;
    if (!value.firstChild) {
      value.append(make("span", "value", "–"), " ", make("span", "unit", tag.unit), make("span", "was"));
      value.children[2].hidden = true;
      if (tag.write) value.append(writeButton(tag, () => value.children[0].textContent));
      quality.append(make("span", "pill", "unknown"), make("span", "why"));
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("class", "trend");
      svg.setAttribute("viewBox", "0 0 120 26");
      svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("aria-hidden", "true");
      svg.append(document.createElementNS("http://www.w3.org/2000/svg", "polyline"));
      trend.append(svg);
    }
    const known = old.get(name);
    return { name, value, quality, age, line: trend.querySelector("polyline"), at: known ? known.at : null, points: known ? known.points : [] };
  });
  fetchTrends(given);
}

function numeric(text) {
  if (text === "true") return 1;
  if (text === "false") return 0;
  const value = Number(text);
  return text === "" || text === "-" ? NaN : value;
}

// The last two minutes of what is shown, out of the log; what comes live is added to it.
async function fetchTrends(given) {
  if (given.shown.length === 0 || tags.some((tag) => tag.points.length > 1)) return;
  const query = new URLSearchParams({ from: "-" + TREND_BACK_S, limit: "20000" });
  const pattern = by("pattern").value.trim();
  if (pattern) query.set("match", pattern);
  try {
    const answer = await fetch("/api/v1/history?" + query);
    if (!answer.ok) return;
    const past = new Map((await answer.json()).tags.map((tag) => [tag.device + "." + tag.tag, tag.readings]));
    for (const tag of tags) {
      const first = tag.points.length > 0 ? tag.points[0][0] : Infinity;
      const older = (past.get(tag.name) || []).map(([time, value]) => [Date.parse(time), value === null ? NaN : numeric(String(value))]);
      tag.points = older.filter(([time]) => time < first).concat(tag.points).slice(-TREND_POINTS_MAX);
      draw(tag);
    }
  } catch (cause) {
    console.warn("no trend out of the log:", cause);
  }
}

function draw(tag) {
  const good = tag.points.filter(([, value]) => Number.isFinite(value));
  if (good.length < 2) return tag.line.setAttribute("points", "");
  const values = good.map(([, value]) => value);
  const low = Math.min(...values), high = Math.max(...values);
  const from = good[0][0], to = good[good.length - 1][0];
  const isStep = values.every((value) => value === 0 || value === 1);
  const x = (time) => (to > from ? 120 * (time - from) / (to - from) : 0).toFixed(1);
  const y = (value) => (high > low ? 24 - 22 * (value - low) / (high - low) : 13).toFixed(1);
  // What is on or off holds until it changes.
  const points = good.flatMap(([time, value], place) =>
    (isStep && place > 0 ? [x(time) + "," + y(good[place - 1][1])] : []).concat(x(time) + "," + y(value)));
  tag.line.setAttribute("points", points.join(" "));
}

function showValues(changed) {
  for (const [place, value, quality, reason, at, good, goodAt] of changed) {
    const tag = tags[place];
    if (!tag) continue;
    const [shown, , was] = tag.value.children;
    say(shown, quality === "bad" ? "–" : short(value));
    shown.title = quality === "bad" ? "" : value;
    say(was, good === null ? "" : "last good " + short(good) + " at " + new Date(goodAt).toLocaleTimeString("en-GB"));
    was.hidden = good === null;
    pill(tag.quality.children[0], quality === "good" ? "good" : quality === "bad" ? "bad" : "", quality);
    say(tag.quality.children[1], reason || "");
    tag.quality.children[1].hidden = !reason;
    tag.at = at;
    tag.points.push([at, quality === "bad" ? NaN : numeric(value)]);
    if (tag.points.length > TREND_POINTS_MAX) tag.points.shift();
    draw(tag);
  }
}

function showAges() {
  const now = Date.now() + clockAheadMs;
  for (const tag of tags) say(tag.age, tag.at === null ? "not read yet" : duration(Math.max(0, now - tag.at)));
}

function showEvents(events) {
  const list = by("event-rows");
  for (const event of events) {
    if (list.firstChild && Number(list.firstChild.dataset.number) >= event.number) continue;
    const item = make("li");
    item.dataset.number = event.number;
    const time = make("time", "", new Date(event.time).toLocaleTimeString("en-GB"));
    time.dateTime = event.time;
    const kind = event.level === "error" ? "bad" : event.level === "warn" ? "" : "good";
    item.append(time, make("span", "pill " + kind, event.level), event.text);
    list.prepend(item);
  }
  while (list.children.length > EVENTS_MAX) list.lastChild.remove();
}

// -- the connection

function listen() {
  if (source) source.close();
  const pattern = by("pattern").value.trim();
  source = new EventSource("/api/v1/live" + (pattern ? "?" + new URLSearchParams({ match: pattern }) : ""));
  const on = (name, show) => source.addEventListener(name, (event) => {
    heardAt = Date.now();
    show(JSON.parse(event.data));
  });
  on("tags", showTags);
  on("status", (status) => { showStatus(status); showAges(); });
  on("values", (values) => { showValues(values); showAges(); });
  on("events", showEvents);
  // The browser asks again by itself after an end, but not after a refusal.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

setInterval(() => {
  const silent = Date.now() - heardAt > SILENT_MS_MAX;
  document.body.classList.toggle("stale", silent);
  by("lost").hidden = !silent;
  if (silent) say(by("lost"), "No word from the gateway for " + duration(Date.now() - heardAt) + ": what stands here is old. Check that it runs and that this computer reaches it.");
}, 1000);

by("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  listen();
});

// What is shown is for who looks.
onKnown(() => { if (may("viewer")) listen(); });
who().catch(listen);
