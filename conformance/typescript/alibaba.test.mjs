// SPDX-License-Identifier: Apache-2.0

// Lives of keys, told through three generations of Alibaba's SDK for TypeScript: the same as those
// through its Go SDKs.

import assert from "node:assert/strict";
import { createHash, createVerify, createPublicKey } from "node:crypto";
import { test } from "node:test";

import kms from "@alicloud/kms20160120";
import openapi from "@alicloud/openapi-client";
import pop from "@alicloud/pop-core";
import rpc from "@alicloud/rpc-client";
import util from "@alicloud/tea-util";

import { advance, context, ready, refused, rotations, week } from "./server.mjs";

const { endpoint, regionId, accessKeyId, accessKeySecret } = ready.alibaba;
const host = endpoint.replace(/^http:\/\//, "");

// generated is the SDK with a method and a model for each operation, of 2018.
function generated() {
  const client = new kms.default(new rpc.Config({ endpoint: host, regionId, accessKeyId, accessKeySecret, protocol: "http", type: "access_key" }));
  const runtime = new util.RuntimeOptions({});
  return async (action, params) => {
    const Request = kms[`${action}Request`];
    const fields = Object.fromEntries(Object.entries(Request.names()).map(([field, name]) => [field, params[name]]));
    const method = action[0].toLowerCase() + action.slice(1);
    const answer = await client[method](new Request(fields), runtime);
    return answer.toMap ? answer.toMap() : answer;
  };
}

// generic is today's SDK, which is told of an operation's name and parameters.
function generic() {
  const client = new openapi.default(new openapi.Config({ endpoint: host, regionId, accessKeyId, accessKeySecret, protocol: "HTTP" }));
  return async (action, params) => {
    const query = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : value]));
    const answer = await client.callApi(
      new openapi.Params({
        action, version: "2016-01-20", protocol: "HTTP", method: "POST", authType: "AK", style: "RPC", pathname: "/",
        reqBodyType: "formData", bodyType: "json",
      }),
      new openapi.OpenApiRequest({ query }),
      new util.RuntimeOptions({}),
    );
    return answer.body;
  };
}

// core is the oldest, which sends a query or a form.
function core(method) {
  const client = new pop({ endpoint, accessKeyId, accessKeySecret, apiVersion: "2016-01-20" });
  return (action, params) => {
    const flat = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : value]));
    return client.request(action, { RegionId: regionId, ...flat }, { method });
  };
}

const generations = {
  "@alicloud/kms20160120": generated(),
  "@alicloud/openapi-client": generic(),
  "@alicloud/pop-core, GET": core("GET"),
  "@alicloud/pop-core, POST": core("POST"),
};

// The oldest of the generated models adds "Error" to codes.
const refusal = (call) => refused(call, (err) => err.code.replace(/Error$/, ""));

const oaep = ["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"];
const cast = [
  { KeySpec: "Aliyun_AES_256", KeyUsage: "ENCRYPT/DECRYPT", algorithms: [] },
  { KeySpec: "RSA_2048", KeyUsage: "ENCRYPT/DECRYPT", algorithms: oaep },
  { KeySpec: "RSA_2048", KeyUsage: "SIGN/VERIFY", algorithms: ["RSA_PSS_SHA_256", "RSA_PKCS1_SHA_256"] },
  { KeySpec: "EC_P256", KeyUsage: "SIGN/VERIFY", algorithms: ["ECDSA_SHA_256"] },
  { KeySpec: "EC_SM2", KeyUsage: "SIGN/VERIFY", algorithms: ["SM2DSA"] },
];
const nameOf = (k) => `${k.KeySpec} ${k.KeyUsage}`;
const symmetric = (k) => k.algorithms.length === 0;
const base64 = (text) => Buffer.from(text).toString("base64");
const sha256 = (text) => createHash("sha256").update(text).digest("base64");

// use seals or signs with a version and keeps the results.
async function use(k, version) {
  const proof = { version, of: {} };
  if (symmetric(k)) {
    const sealed = await k.call("Encrypt", { KeyId: k.id, Plaintext: base64(version), EncryptionContext: context });
    assert.equal(sealed.KeyVersionId, version);
    proof.of.envelope = { CiphertextBlob: sealed.CiphertextBlob };
  }
  for (const Algorithm of k.algorithms) {
    const about = { KeyId: k.id, KeyVersionId: version, Algorithm };
    if (k.KeyUsage === "SIGN/VERIFY") {
      const { Value } = await k.call("AsymmetricSign", { ...about, Digest: sha256(version) });
      proof.of[Algorithm] = { Value };
    } else {
      const { CiphertextBlob } = await k.call("AsymmetricEncrypt", { ...about, Plaintext: base64(version) });
      proof.of[Algorithm] = { CiphertextBlob };
    }
  }
  k.proofs.push(proof);
}

// opening is the call that opens or verifies one proof of a version.
function opening(k, { version, of }, name, text = version) {
  const about = { KeyId: k.id, KeyVersionId: version, Algorithm: name, ...of[name] };
  if (symmetric(k)) {
    return () => k.call("Decrypt", { ...of[name], EncryptionContext: context });
  }
  if (k.KeyUsage === "SIGN/VERIFY") {
    return () => k.call("AsymmetricVerify", { ...about, Digest: sha256(text) });
  }
  return () => k.call("AsymmetricDecrypt", about);
}

async function check(k, proof) {
  for (const name of Object.keys(proof.of)) {
    const answer = await opening(k, proof, name)();
    assert.equal(answer.KeyId, k.id);
    assert.equal(answer.KeyVersionId, proof.version);
    if (k.KeyUsage === "SIGN/VERIFY") {
      assert.equal(answer.Value, true);
      assert.equal((await opening(k, proof, name, "another message")()).Value, false);
    } else {
      assert.equal(answer.Plaintext, base64(proof.version));
    }
  }
}

async function checkRefused(k, proof, wanted) {
  for (const name of Object.keys(proof.of)) {
    assert.equal(await refusal(opening(k, proof, name)), wanted);
  }
}

const describe = async (k) => (await k.call("DescribeKey", { KeyId: k.id })).KeyMetadata;

async function versions(k) {
  const listed = [];
  for (let PageNumber = 1; ; PageNumber++) {
    const page = await k.call("ListKeyVersions", { KeyId: k.id, PageNumber, PageSize: 3 });
    listed.push(...page.KeyVersions.KeyVersion.map((v) => v.KeyVersionId));
    if (page.KeyVersions.KeyVersion.length < 3) {
      assert.equal(page.TotalCount, listed.length);
      return listed;
    }
  }
}

async function rotate(k) {
  if (symmetric(k)) {
    const { PrimaryKeyVersion } = await describe(k);
    assert.notEqual(PrimaryKeyVersion, k.proofs.at(-1).version);
    return use(k, PrimaryKeyVersion);
  }
  const { KeyVersion } = await k.call("CreateKeyVersion", { KeyId: k.id });
  assert.equal(KeyVersion.KeyId, k.id);
  return use(k, KeyVersion.KeyVersionId);
}

const chapters = [
  ["create", async (k) => {
    const { KeyMetadata } = await k.call("CreateKey", { KeySpec: k.KeySpec, KeyUsage: k.KeyUsage, Description: nameOf(k), ProtectionLevel: "SOFTWARE" });
    assert.equal(KeyMetadata.KeyState, "Enabled");
    assert.equal(KeyMetadata.KeySpec, k.KeySpec);
    k.id = KeyMetadata.KeyId;
    const [first] = await versions(k);
    await use(k, first);
  }],
  ["generate data keys", async (k) => {
    if (!symmetric(k)) {
      return;
    }
    const made = await k.call("GenerateDataKey", { KeyId: k.id, KeySpec: "AES_256", EncryptionContext: context });
    const opened = await k.call("Decrypt", { CiphertextBlob: made.CiphertextBlob, EncryptionContext: context });
    assert.equal(opened.Plaintext, made.Plaintext);
    assert.equal(Buffer.from(made.Plaintext, "base64").length, 32);
    assert.equal(await refusal(() => k.call("Decrypt", { CiphertextBlob: made.CiphertextBlob, EncryptionContext: { app: "other" } })), "InvalidParameter");
  }],
  ["name it by an alias", async (k) => {
    const AliasName = `alias/${k.generation.replace(/\W+/g, "-")}/${nameOf(k).replace(/\W+/g, "-")}`;
    await k.call("CreateAlias", { AliasName, KeyId: k.id });
    const { Aliases } = await k.call("ListAliasesByKeyId", { KeyId: k.id });
    assert.deepEqual(Aliases.Alias.map((a) => a.AliasName), [AliasName]);
    assert.equal((await k.call("DescribeKey", { KeyId: AliasName })).KeyMetadata.KeyId, k.id);
    await k.call("DeleteAlias", { AliasName });
    assert.equal(await refusal(() => k.call("DescribeKey", { KeyId: AliasName })), "Forbidden.AliasNotFound");
  }],
  ["rotation to come", async (k) => {
    if (!symmetric(k)) {
      assert.equal(await refusal(() => k.call("CreateKeyVersion", { KeyId: k.id })), "Rejected.UnsupportedOperation");
      return;
    }
    await k.call("UpdateRotationPolicy", { KeyId: k.id, EnableAutomaticRotation: true, RotationInterval: "7d" });
    const key = await describe(k);
    assert.equal(key.AutomaticRotation, "Enabled");
    assert.equal(key.RotationInterval, "604800s");
  }],
  ...Array.from({ length: rotations }, () => ["rotate", rotate, () => advance(week)]),
  ["open what every version sealed", async (k) => {
    for (const proof of k.proofs) {
      await check(k, proof);
    }
  }],
  ["list page by page", async (k) => {
    assert.deepEqual(await versions(k), k.proofs.map((p) => p.version));
  }],
  ["read a public key", async (k) => {
    if (symmetric(k)) {
      return;
    }
    const [proof] = k.proofs;
    const { PublicKey } = await k.call("GetPublicKey", { KeyId: k.id, KeyVersionId: proof.version });
    assert.match(PublicKey, /^-----BEGIN PUBLIC KEY-----\n/);
    if (k.KeySpec === "EC_P256") { // by another's implementation
      const verifier = createVerify("sha256").update(proof.version);
      assert.ok(verifier.verify(createPublicKey(PublicKey), Buffer.from(proof.of.ECDSA_SHA_256.Value, "base64")));
    }
  }],
  ["disable and enable", async (k) => {
    await k.call("DisableKey", { KeyId: k.id });
    assert.equal((await describe(k)).KeyState, "Disabled");
    await checkRefused(k, k.proofs[0], "Rejected.Disabled");
    await k.call("EnableKey", { KeyId: k.id });
    await check(k, k.proofs[0]);
  }],
  ["schedule and cancel and schedule the key's deletion", async (k) => {
    for (const again of [false, true]) {
      await k.call("ScheduleKeyDeletion", { KeyId: k.id, PendingWindowInDays: 7 });
      const key = await describe(k);
      assert.equal(key.KeyState, "PendingDeletion");
      assert.ok(key.DeleteDate);
      await checkRefused(k, k.proofs.at(-1), "Rejected.PendingDeletion");
      if (!again) {
        await k.call("CancelKeyDeletion", { KeyId: k.id });
        await check(k, k.proofs.at(-1));
      }
    }
  }],
  ["the key is gone", async (k) => {
    assert.equal(await refusal(() => describe(k)), "Forbidden.KeyNotFound");
    await checkRefused(k, k.proofs.at(-1), "Forbidden.KeyNotFound");
  }, () => advance(week + 1000)],
];

// The 50 asymmetric versions that an account may have in a region are those of four keys with
// eleven versions: one generation lives after the other.
for (const [generation, call] of Object.entries(generations)) {
  test(generation, async (t) => {
    const lives = cast.map((k) => ({ ...k, generation, call, proofs: [] }));
    for (const [name, live, before] of chapters) {
      await before?.();
      for (const k of lives) {
        await t.test(`${name}: ${nameOf(k)}`, () => live(k));
      }
    }
  });
}
