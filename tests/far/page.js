// The status page in Chromium: what axe-core finds in each of its states, where the keyboard leads, what a dead device looks like.
// node page.js MODULES CHROMIUM URL USER PASSWORD DEVICE [FOLDER FOR PICTURES]
// Prints one JSON object a line; after {"step":"alive"} the test kills DEVICE.
"use strict";
const fs = require("fs");
const path = require("path");
const need = require("module").createRequire(path.join(process.argv[2], "x.js"));
const [chromium, url, user, password, device, pictures] = process.argv.slice(3);
const puppeteer = need("puppeteer-core");
const axe = fs.readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");

const SIZES = { phone: { width: 390, height: 844, isMobile: true, hasTouch: true }, desktop: { width: 1280, height: 900 } };
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const say = (object) => console.log(JSON.stringify(object));

async function look(page, size, scheme, state) {
  // Colours that fade in are no colours yet.
  await new Promise((done) => setTimeout(done, 150));
  if (pictures) await page.screenshot({ path: path.join(pictures, `${state}-${size}-${scheme}.png`), fullPage: !state.endsWith("dialog") });
  await page.evaluate(axe);
  const found = await page.evaluate((rules) => axe.run(document, { runOnly: rules, resultTypes: ["violations"] }), RULES);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  const violations = found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`));
  if (wide > 0) violations.push(`the page is ${wide} px wider than the screen`);
  say({ step: "look", state, size, scheme, violations });
}

// What the Tab key reaches, and whether one sees where it is.
async function walk(page, steps) {
  const reached = [];
  for (let step = 0; step < steps; step += 1) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => {
      const focused = document.activeElement;
      // Behind the last place the keyboard leaves the page for the browser.
      if (focused === document.body) return null;
      const style = getComputedStyle(focused);
      const visible = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
      return { name: focused.id || focused.textContent.trim().slice(0, 40) || focused.tagName, visible };
    }));
  }
  return reached.filter((place) => place !== null);
}

// Rows that arrive push what is below them away between a look for it and the press: a locator waits until it stands still.
const press = (page, what) => page.locator(what).click();

const isLive = () => document.querySelectorAll("#tag-rows .pill.good").length > 0;

async function login(page) {
  await press(page, "#open-login");
  await page.type("#user", user);
  await page.type("#password", password);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.body.classList.contains("is-engineer"), { timeout: 10000 });
}

async function states(browser, size, scheme) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error") say({ step: "console", text: message.text() }); });
  page.on("pageerror", (error) => say({ step: "console", text: String(error) }));
  await page.setViewport(SIZES[size]);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(url, { waitUntil: "domcontentloaded" });
  await page.waitForFunction(isLive, { timeout: 20000 });
  await look(page, size, scheme, "stranger");
  if (size === "desktop" && scheme === "light") say({ step: "keyboard", reached: await walk(page, 12) });
  await press(page, "#open-login");
  await look(page, size, scheme, "login-dialog");
  await page.keyboard.press("Escape");
  say({ step: "escape", open: await page.$eval("#login", (dialog) => dialog.open) });
  await login(page);
  for (const fold of await page.$$("details > summary")) await fold.asLocator().click();
  await page.waitForFunction(() => document.querySelector("#config-text").value && document.querySelector("#recorder-rows tr"), { timeout: 10000 });
  await press(page, "#config-check");
  await page.waitForSelector("#config-report:not([hidden])", { timeout: 10000 });
  await look(page, size, scheme, "engineer");
  await press(page, "#quarantine-rows input");
  await press(page, "#quarantine-retry");
  await page.waitForFunction(() => document.querySelector("#quarantine-done").textContent.startsWith("They are sent again"), { timeout: 10000 });
  await press(page, "#tag-rows button");
  await look(page, size, scheme, "command-dialog");
  await context.close();
}

async function dead(browser) {
  const page = await browser.newPage();
  await page.goto(url, { waitUntil: "domcontentloaded" });
  await page.waitForFunction(isLive, { timeout: 20000 });
  const first = await page.$eval("#tag-rows .value", (value) => value.textContent);
  await page.waitForFunction((old) => document.querySelector("#tag-rows .value").textContent !== old, { timeout: 10000 }, first);
  say({ step: "alive" });
  const begun = Date.now();
  const row = `#device-rows tr[data-name="${device}"] .state`;
  await page.waitForSelector(`${row} .pill.bad`, { timeout: 30000 });
  const ms = Date.now() - begun;
  const [text, why] = await page.$eval(row, (cell) => [cell.children[0].textContent, cell.children[1].textContent]);
  say({ step: "dead", ms, text, why });
  for (const [size, scheme] of [["phone", "light"], ["desktop", "dark"]]) {
    await page.setViewport(SIZES[size]);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await look(page, size, scheme, "dead");
  }
}

(async () => {
  const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"], headless: true });
  try {
    for (const size of Object.keys(SIZES)) for (const scheme of ["light", "dark"]) await states(browser, size, scheme);
    await dead(browser);
  } finally {
    await browser.close();
  }
})().catch((cause) => {
  console.error(cause);
  process.exit(1);
});
