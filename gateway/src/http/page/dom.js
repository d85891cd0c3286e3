// What both halves of the page are made with. Text is only ever put in as text, never as HTML.

export const by = (id) => document.getElementById(id);

export function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function pill(element, kind, text) {
  const className = "pill " + kind;
  if (element.className !== className) element.className = className;
  say(element, text);
}

// -- numbers for people

export function duration(ms) {
  if (ms === null || ms === undefined) return "never";
  if (ms < 950) return Math.round(ms) + " ms";
  const s = ms / 1000;
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.floor(s / 60) + " min";
  if (s < 172800) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

export function bytes(count) {
  if (count === null || count === undefined) return "unknown";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (count >= 1024 && place < units.length - 1) { count /= 1024; place += 1; }
  return (place === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)) + " " + units[place];
}

export function number(count) {
  return count === null || count === undefined ? "unknown" : count.toLocaleString("en-GB");
}

// A measured value in the seven digits that a REAL has.
export function short(value) {
  return /^-?\d+\.\d{4,}$/.test(value) ? String(Number(Number(value).toPrecision(7))) : value;
}

export function share(percent) {
  if (percent >= 10) return Math.round(percent) + " %";
  return percent < 0.1 ? "< 0.1 %" : percent.toFixed(1) + " %";
}

// -- rows that are kept from one second to the next

export function rows(body, wanted, name, cells) {
  const kept = new Map();
  for (const row of body.children) kept.set(row.dataset.name, row);
  wanted.forEach((item, place) => {
    let row = kept.get(name(item));
    kept.delete(name(item));
    if (!row) {
      row = make("tr");
      row.dataset.name = name(item);
      const head = make("th", "", name(item));
      head.scope = "row";
      row.append(head);
      for (const label of cells) {
        const cell = make("td");
        if (label) cell.dataset.label = label; else cell.className = "state";
        row.append(cell);
      }
    }
    if (body.children[place] !== row) body.insertBefore(row, body.children[place] || null);
  });
  for (const row of kept.values()) row.remove();
  return body.children;
}

export function stateInto(cell, kind, text, why) {
  if (!cell.firstChild) cell.append(make("span", "pill"), make("span", "why"));
  pill(cell.children[0], kind, text);
  say(cell.children[1], why || "");
  cell.children[1].hidden = !why;
}
