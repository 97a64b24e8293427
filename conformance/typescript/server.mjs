// SPDX-License-Identifier: Apache-2.0

// The server under test, as its ready file describes it, and the clock of its admin API.

import { readFileSync } from "node:fs";

export const ready = JSON.parse(readFileSync(process.env.CLAVIGER_READY, "utf8"));

export const day = 24 * 60 * 60 * 1000;
export const week = 7 * day;
export const retention = week + 60 * 60 * 1000; // a deletion time that is certainly allowed
export const rotations = 10; // how many versions every life makes after the first

// An encryption context that needs escaping in JSON and in a URL.
export const context = { app: "ledger", "naïve": "ключ <&> *~'()" };

async function admin(method, path, body) {
  const answer = await fetch(`${ready.admin.endpoint}/admin/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${ready.admin.token}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) {
    throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  }
  return answer.status === 204 ? undefined : answer.json();
}

// now is the server's domain time.
export async function now() {
  return new Date((await admin("GET", "clock")).now);
}

// advance moves the server's clock, in milliseconds.
export async function advance(milliseconds) {
  await admin("POST", "clock", { advance: `${milliseconds / 1000}s` });
}

// refused is "status code" of the error that a call ends with.
export async function refused(call, describe) {
  let answer;
  try {
    answer = await call();
  } catch (err) {
    return describe(err);
  }
  throw new Error(`was answered with ${JSON.stringify(answer)}, want a refusal`);
}
