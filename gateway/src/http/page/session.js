// Who looks, what they may, and how the page asks.

import { by, say } from "/dom.js";

const ROLES = ["viewer", "operator", "engineer", "admin"];

// What is done each time that somebody else looks.
const whenKnown = [];
export const onKnown = (act) => whenKnown.push(act);

export async function get(path) {
  return told(await fetch("/api/v1/" + path));
}

export async function ask(path, body, kind = "application/json") {
  const headers = { "X-Forebay": "page", "Content-Type": kind };
  return told(await fetch("/api/v1/" + path, { method: "POST", headers, body: kind === "application/json" ? JSON.stringify(body) : body }));
}

async function told(answer) {
  const value = await answer.json();
  if (answer.ok) return value;
  // A login lasts for a time, and ends with the gateway.
  if (answer.status === 401 && document.body.classList.contains("is-known")) who();
  throw Object.assign(new Error(value.error || value.reason || answer.statusText), { told: value });
}

// Somebody of a role sees what is marked with it and with all below.
export async function who() {
  const session = await (await fetch("/api/v1/session")).json();
  const rank = ROLES.indexOf(session.role);
  ROLES.forEach((role, place) => document.body.classList.toggle("is-" + role, rank >= place));
  document.body.classList.toggle("is-known", Boolean(session.user));
  say(by("who"), session.user ? session.user + ", " + session.role : "");
  by("open-login").hidden = Boolean(session.user) || !session.login;
  by("logout").hidden = !session.user;
  if (!session.role && !by("login").open) by("login").showModal();
  whenKnown.forEach((act) => act(session));
}

export const may = (role) => document.body.classList.contains("is-" + role);

by("open-login").addEventListener("click", () => by("login").showModal());
by("close-login").addEventListener("click", () => by("login").close());
by("logout").addEventListener("click", async () => {
  await ask("logout", {});
  location.reload();
});
by("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("login", { user: by("user").value, password: by("password").value });
    say(by("login-wrong"), "");
    by("login").close();
    await who();
  } catch (cause) {
    say(by("login-wrong"), cause.message);
  }
  by("password").value = "";
});
