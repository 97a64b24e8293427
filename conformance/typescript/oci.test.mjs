// SPDX-License-Identifier: Apache-2.0

// Lives of keys, told through Oracle's SDK for TypeScript: the same as those through its Go SDK.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { crc32 } from "node:zlib";

import common from "oci-common";
import kms from "oci-keymanagement";

import { advance, context, now, ready, refused, retention, rotations } from "./server.mjs";

const provider = new common.ConfigFileAuthenticationDetailsProvider(ready.oci.configFile, "DEFAULT");
const clients = {
  vaults: new kms.KmsVaultClient({ authenticationDetailsProvider: provider }),
  management: new kms.KmsManagementClient({ authenticationDetailsProvider: provider }),
  crypto: new kms.KmsCryptoClient({ authenticationDetailsProvider: provider }),
};
clients.vaults.endpoint = ready.oci.vaultEndpoint;
clients.management.endpoint = ready.oci.managementEndpoint;
clients.crypto.endpoint = ready.oci.cryptoEndpoint;

const { management, crypto } = clients;
const refusal = (call) => refused(call, (err) => `${err.statusCode} ${err.serviceCode}`);
const base64 = (text) => Buffer.from(text).toString("base64");
const digest = (algorithm, text) => createHash(`sha${/SHA_(\d+)/.exec(algorithm)[1]}`).update(text).digest("base64");

const rsa = ["SHA_224", "SHA_256", "SHA_384", "SHA_512"].flatMap((h) => [`${h}_RSA_PKCS_PSS`, `${h}_RSA_PKCS1_V1_5`]);
const oaep = ["RSA_OAEP_SHA_1", "RSA_OAEP_SHA_256"];
const cast = [
  { keyShape: { algorithm: "AES", length: 16 }, encryption: [undefined], signing: [] },
  { keyShape: { algorithm: "AES", length: 32 }, encryption: [undefined], signing: [] },
  { keyShape: { algorithm: "RSA", length: 256 }, encryption: oaep, signing: rsa },
  { keyShape: { algorithm: "ECDSA", length: 32, curveId: "NIST_P256" }, encryption: [], signing: ["ECDSA_SHA_256"] },
  { keyShape: { algorithm: "ECDSA", length: 66, curveId: "NIST_P521" }, encryption: [], signing: ["ECDSA_SHA_512"] },
];
const nameOf = ({ keyShape }) => `${keyShape.algorithm}-${keyShape.length * 8}`;
const associated = (k) => (k.keyShape.algorithm === "AES" ? context : undefined);

// use seals and signs with the current version, which must be the given one, and keeps the results.
async function use(k, version) {
  const proof = { version, sealed: [], signed: [] };
  for (const encryptionAlgorithm of k.encryption) {
    const { encryptedData } = await crypto.encrypt({
      encryptDataDetails: { keyId: k.id, plaintext: base64(version), associatedData: associated(k), encryptionAlgorithm },
    });
    assert.equal(encryptedData.keyVersionId, version);
    proof.sealed.push({ ciphertext: encryptedData.ciphertext, encryptionAlgorithm });
  }
  for (const signingAlgorithm of k.signing) {
    const { signedData } = await crypto.sign({
      signDataDetails: { keyId: k.id, message: digest(signingAlgorithm, version), messageType: "DIGEST", signingAlgorithm },
    });
    assert.equal(signedData.keyVersionId, version);
    proof.signed.push({ signature: signedData.signature, signingAlgorithm });
  }
  k.proofs.push(proof);
}

const open = (k, sealed) =>
  crypto.decrypt({ decryptDataDetails: { keyId: k.id, ...sealed, associatedData: associated(k) } });

const verify = (k, { version }, { signature, signingAlgorithm }, text) =>
  crypto.verify({
    verifyDataDetails: {
      keyId: k.id, keyVersionId: version, message: digest(signingAlgorithm, text), messageType: "DIGEST", signature, signingAlgorithm,
    },
  });

// check opens and verifies all that a version sealed and signed.
async function check(k, proof) {
  for (const sealed of proof.sealed) {
    const { decryptedData } = await open(k, sealed);
    assert.equal(decryptedData.plaintext, base64(proof.version));
    assert.equal(decryptedData.plaintextChecksum, String(crc32(Buffer.from(proof.version))));
    assert.equal(decryptedData.keyVersionId, proof.version);
  }
  for (const signed of proof.signed) {
    assert.equal((await verify(k, proof, signed, proof.version)).verifiedData.isSignatureValid, true);
    assert.equal((await verify(k, proof, signed, "another message")).verifiedData.isSignatureValid, false);
  }
}

// checkRefused finds every use of a version, which is named where it can be, answered as given.
async function checkRefused(k, proof, wanted) {
  for (const sealed of proof.sealed) {
    assert.equal(await refusal(() => open(k, { ...sealed, keyVersionId: proof.version })), wanted);
  }
  for (const signed of proof.signed) {
    assert.equal(await refusal(() => verify(k, proof, signed, proof.version)), wanted);
  }
}

const chapters = [
  ["create", async (k) => {
    const { key, etag, opcRequestId } = await management.createKey({
      createKeyDetails: { compartmentId: ready.oci.compartment, displayName: nameOf(k), keyShape: k.keyShape, protectionMode: "SOFTWARE" },
    });
    assert.match(etag, /^[0-9a-f]{40}$/);
    assert.match(opcRequestId, /^\S{32,}/);
    assert.equal(key.vaultId, ready.oci.vaultId);
    assert.equal(key.lifecycleState, "ENABLED");
    assert.equal(key.keyShape.length, k.keyShape.length);
    assert.ok(!Number.isNaN(Date.parse(key.timeCreated)));
    k.id = key.id;
    await use(k, key.currentKeyVersion);
  }],
  ["generate a data key", async (k) => {
    if (!associated(k)) {
      return;
    }
    const { generatedKey } = await crypto.generateDataEncryptionKey({
      generateKeyDetails: { includePlaintextKey: true, keyId: k.id, keyShape: { algorithm: "AES", length: 32 }, associatedData: context },
    });
    const { decryptedData } = await open(k, { ciphertext: generatedKey.ciphertext });
    assert.equal(decryptedData.plaintext, generatedKey.plaintext);
    assert.equal(Buffer.from(generatedKey.plaintext, "base64").length, 32);
    const other = { keyId: k.id, ciphertext: generatedKey.ciphertext, associatedData: { app: "other" } };
    assert.equal(await refusal(() => crypto.decrypt({ decryptDataDetails: other })), "400 InvalidParameter");
  }],
  ["rotate and use each version", async (k) => {
    for (let i = 0; i < rotations; i++) {
      const { keyVersion } = await management.createKeyVersion({ keyId: k.id });
      const { key } = await management.getKey({ keyId: k.id });
      assert.equal(key.currentKeyVersion, keyVersion.id);
      assert.equal(Boolean(keyVersion.publicKey), k.signing.length > 0);
      await use(k, keyVersion.id);
    }
  }],
  ["open what every version sealed", async (k) => {
    for (const proof of k.proofs) {
      await check(k, proof);
    }
  }],
  ["list page by page", async (k) => {
    const listed = [];
    for (let page; ;) {
      const answer = await management.listKeyVersions({ keyId: k.id, limit: 3, page, sortBy: "TIMECREATED", sortOrder: "ASC" });
      listed.push(...answer.items.map((v) => v.id));
      page = answer.opcNextPage;
      if (!page) {
        break;
      }
    }
    assert.deepEqual(listed, k.proofs.map((p) => p.version));
  }],
  ["disable and enable", async (k) => {
    assert.equal((await management.disableKey({ keyId: k.id })).key.lifecycleState, "DISABLED");
    await checkRefused(k, k.proofs[0], "409 Conflict");
    assert.equal(await refusal(() => management.createKeyVersion({ keyId: k.id })), "409 Conflict");
    assert.equal((await management.enableKey({ keyId: k.id })).key.lifecycleState, "ENABLED");
    await check(k, k.proofs[0]);
  }],
  ["schedule and cancel and schedule a version's deletion", async (k) => {
    const [oldest] = k.proofs;
    const ids = { keyId: k.id, keyVersionId: oldest.version };
    const current = { keyId: k.id, keyVersionId: k.proofs.at(-1).version, scheduleKeyVersionDeletionDetails: {} };
    assert.equal(await refusal(() => management.scheduleKeyVersionDeletion(current)), "409 Conflict");
    const timeOfDeletion = new Date((await now()).getTime() + retention);
    for (const again of [false, true]) {
      const { keyVersion } = await management.scheduleKeyVersionDeletion({ ...ids, scheduleKeyVersionDeletionDetails: { timeOfDeletion } });
      assert.equal(keyVersion.lifecycleState, "PENDING_DELETION");
      assert.equal(Date.parse(keyVersion.timeOfDeletion), Math.floor(timeOfDeletion.getTime() / 1000) * 1000);
      await checkRefused(k, oldest, "409 Conflict");
      if (!again) {
        const cancelled = await management.cancelKeyVersionDeletion(ids);
        assert.equal(cancelled.keyVersion.lifecycleState, "ENABLED");
        await check(k, oldest);
      }
    }
  }],
  ["the version is gone", async (k) => {
    const [oldest, ...left] = k.proofs;
    const { keyVersion } = await management.getKeyVersion({ keyId: k.id, keyVersionId: oldest.version });
    assert.equal(keyVersion.lifecycleState, "DELETED");
    await checkRefused(k, oldest, associated(k) ? "400 InvalidParameter" : "404 NotAuthorizedOrNotFound");
    for (const proof of left) {
      await check(k, proof);
    }
  }, () => advance(retention + 1000)],
  ["schedule and cancel and schedule the key's deletion", async (k) => {
    const timeOfDeletion = new Date((await now()).getTime() + retention);
    for (const again of [false, true]) {
      const { key } = await management.scheduleKeyDeletion({ keyId: k.id, scheduleKeyDeletionDetails: { timeOfDeletion } });
      assert.equal(key.lifecycleState, "PENDING_DELETION");
      await checkRefused(k, k.proofs.at(-1), "409 Conflict");
      if (!again) {
        assert.equal((await management.cancelKeyDeletion({ keyId: k.id })).key.lifecycleState, "ENABLED");
        await check(k, k.proofs.at(-1));
      }
    }
  }],
  ["the key is gone", async (k) => {
    assert.equal((await management.getKey({ keyId: k.id })).key.lifecycleState, "DELETED");
    await checkRefused(k, k.proofs.at(-1), "404 NotAuthorizedOrNotFound");
  }, () => advance(retention + 1000)],
];

test("a vault and what it holds", async () => {
  const { vault } = await clients.vaults.getVault({ vaultId: ready.oci.vaultId });
  assert.equal(vault.managementEndpoint, ready.oci.managementEndpoint);
  assert.equal(vault.lifecycleState, "ACTIVE");
  const { items } = await clients.vaults.listVaults({ compartmentId: ready.oci.compartment });
  assert.ok(items.some((v) => v.id === vault.id));
  const made = await clients.vaults.createVault({
    createVaultDetails: { compartmentId: ready.oci.compartment, displayName: "second", vaultType: "DEFAULT" },
  });
  assert.notEqual(made.vault.managementEndpoint, vault.managementEndpoint);
  const pending = await clients.vaults.scheduleVaultDeletion({ vaultId: made.vault.id, scheduleVaultDeletionDetails: {} });
  assert.equal(pending.vault.lifecycleState, "PENDING_DELETION");
  assert.equal((await clients.vaults.cancelVaultDeletion({ vaultId: made.vault.id })).vault.lifecycleState, "ACTIVE");
});

test("an unknown key", async () => {
  const unknown = ready.oci.vaultId.replace("ocid1.vault", "ocid1.key");
  assert.equal(await refusal(() => management.getKey({ keyId: unknown })), "404 NotAuthorizedOrNotFound");
});

test("the lives of keys", async (t) => {
  const lives = cast.map((k) => ({ ...k, proofs: [] }));
  for (const [name, live, before] of chapters) {
    await before?.();
    for (const k of lives) {
      await t.test(`${name}: ${nameOf(k)}`, () => live(k));
    }
  }
});
