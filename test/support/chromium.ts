// Chromium for tests of pages, by playwright-core and the browser of the machine (CHROMIUM_PATH, or Debian's place).
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const path = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";

/** Why there is no browser, or undefined where there is one. */
export const missingChromium: string | undefined = existsSync(path)
  ? undefined
  : `there is no Chromium at ${path} (CHROMIUM_PATH names another)`;

/** Starts it, without anything that would reach for the network by itself. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: path,
    timeout: 0, // the test has one
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
