// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/secret"
	"claviger/internal/store"
)

// recorded are the events of one operation.
func recorded(t testing.TB, w *kmstest.World, operation string) (out []audit.Event) {
	t.Helper()
	for _, ev := range events(t, w) {
		if ev.Operation == operation {
			out = append(out, ev)
		}
	}
	return out
}

// TestEachCallIsRecordedOnce calls every method, allowed and refused, and looks for exactly one
// event with what it was about.
func TestEachCallIsRecordedOnce(t *testing.T) {
	t.Parallel()
	groups := map[string][]method{"key": keyMethods(), "data": dataMethods(), "vault": vaultMethods(), "tenant": tenantMethods()}
	for group, methods := range groups {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			w := kmstest.New(t, kmstest.TwoRegions())
			nobody := member(t, w, w.Tenant, "nobody", "", keys.ID{})
			vault := newVault(t, w, "scene")
			for _, m := range methods {
				s := m.ready(t, w, vault)
				for _, who := range []kmstest.Tenant{nobody, w.Tenant} {
					c := w.Call(t, who)
					c.Operation, c.RequestID, c.Source = "the operation "+m.name+" "+string(m.action), "r-1", "192.0.2.1"
					c.Context = map[string]string{"why": "audit"}
					err := m.call(s, c)
					c.End()
					all := recorded(t, w, c.Operation)
					if who.Principal == w.Tenant.Principal {
						all = all[min(1, len(all)):]
					}
					if len(all) != 1 {
						t.Fatalf("%s %s: %d events", m.name, m.action, len(all))
					}
					got := all[0]
					outcome := audit.OutcomeOK
					if err != nil {
						outcome = string(keys.AsError(err).Kind)
					}
					if (got.Reason == "") != (err == nil) {
						t.Errorf("%s %s: outcome %s with the reason %q", m.name, m.action, got.Outcome, got.Reason)
					}
					wanted := audit.Event{
						Time: w.Now(), Request: "r-1", Dialect: "test", Operation: c.Operation, Action: m.action,
						Principal: who.Principal, Credential: c.Who.Credential, Tenant: w.Tenant.ID,
						Outcome: outcome, Source: "192.0.2.1", Context: map[string]string{"why": "audit"},
						// Checked below, or of no interest here.
						Vault: got.Vault, Replica: got.Replica, Region: got.Region, Key: got.Key, Version: got.Version, Reason: got.Reason, Revision: got.Revision,
						FromKey: got.FromKey, FromVersion: got.FromVersion,
					}
					if exported := strings.HasSuffix(m.name, "ExportDataKey") || m.name == "ExportKey"; exported {
						sum := sha256.Sum256(rsaUnder(t, w).SPKI)
						wanted.Context["wrapping_key_sha256"] = hex.EncodeToString(sum[:])
					}
					if m.action == keys.Assume && err == nil { // tells what was issued, too
						wanted.Context = maps.Clone(got.Context)
						wanted.Context["why"] = "audit"
					}
					if diff := cmp.Diff(wanted, got); diff != "" {
						t.Errorf("%s %s: -want +got:\n%s", m.name, m.action, diff)
					}
					if (group == "key" || group == "data") && (got.Vault != vault || (got.Key != s.key.ID && got.Key != s.ec.ID && got.Key != s.mac.ID)) {
						t.Errorf("%s %s, %s: it is about key %s in vault %s", m.name, m.action, outcome, got.Key, got.Vault)
					}
					if group == "vault" && m.action != keys.DeleteAlias && m.action != keys.UpdateAlias && got.Vault != vault {
						t.Errorf("%s %s, %s: it is about vault %s", m.name, m.action, outcome, got.Vault)
					}
					accepted := strings.HasPrefix(m.name, "Store") // a work request is made
					if changed := err == nil && (accepted || changes(m.action)); changed != (got.Revision != 0) {
						t.Errorf("%s %s, %s: revision %d", m.name, m.action, outcome, got.Revision)
					}
				}
			}
		})
	}
}

func TestVersionsAreNamedInEvents(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, w.Tenant.Vault)
	for _, m := range slices.Concat(dataMethods(), keyMethods()) {
		switch m.action {
		case keys.Encrypt, keys.Decrypt, keys.GenerateDataKey, keys.Sign, keys.Verify, keys.ReadPublicKey, keys.Rotate, keys.ReadVersion,
			keys.ReEncrypt, keys.ExportDataKey, keys.GenerateMAC, keys.VerifyMAC:
		default:
			continue
		}
		c := w.Call(t, w.Tenant)
		c.Operation = "the operation " + m.name
		want(t, m.name, m.call(s, c), "")
		c.End()
		if got := recorded(t, w, c.Operation); len(got) != 1 || got[0].Version.IsZero() {
			t.Errorf("%s: the events are %+v", m.name, got)
		}
	}
}

// TestNothingIsAnsweredWithoutItsRecord breaks the audit log: data calls and reads fail, answer
// nothing, and go on once it is whole.
func TestNothingIsAnsweredWithoutItsRecord(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, w.Tenant.Vault)
	broken := errors.New("the disk is full")
	for _, m := range slices.Concat(dataMethods(), keyMethods()) {
		if changes(m.action) {
			continue
		}
		s := s
		if m.importing() {
			s = m.ready(t, w, w.Tenant.Vault)
		}
		w.Audit.Fail(broken)
		err := m.by(s, w.Tenant)
		w.Audit.Fail(nil)
		want(t, m.name+" without its record", err, keys.KindUnavailable)
		if !errors.Is(err, broken) {
			t.Errorf("%s: the cause is %v", m.name, err)
		}
		want(t, m.name, m.by(s, w.Tenant), "")
	}
	w.Audit.Fail(broken)
	defer w.Audit.Fail(nil)
	err := as(t, w, w.Tenant, func(c *kms.Call) error {
		out, err := w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: s.aesRef(), Plaintext: []byte("x")})
		if out != nil {
			t.Error("a ciphertext comes with the error")
		}
		dek, err2 := w.GenerateDataKey(t.Context(), c, kms.DataKeyRequest{Key: s.aesRef(), Bytes: 16})
		if dek != nil {
			t.Error("a data key comes with the error")
		}
		return errors.Join(err, err2)
	})
	want(t, "both", err, keys.KindUnavailable)
	want(t, "a refusal that cannot be recorded", as(t, w, w.Other, func(c *kms.Call) error { return second(w.Key(t.Context(), c, s.aesRef())) }), keys.KindUnavailable)
}

// TestRefusedOutsideOfUseCases records what a dialect refuses, and nothing twice.
func TestRefusedOutsideOfUseCases(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, w.Tenant.Vault)
	call := func(operation string) *kms.Call {
		c := w.Call(t, w.Tenant)
		c.Operation = operation
		return c
	}
	early := call("early")
	w.Refused(t.Context(), early, keys.Encrypt, keys.Missing("plaintext"))
	early.End()
	after := call("after")
	want(t, "encrypt", second(w.Encrypt(t.Context(), after, kms.EncryptRequest{Key: s.aesRef()})), "")
	w.Refused(t.Context(), after, keys.Encrypt, keys.Invalid("Format", "no"))
	after.End()
	if got := recorded(t, w, "early"); len(got) != 1 || got[0].Outcome != string(keys.KindMissing) || got[0].Action != keys.Encrypt || got[0].Principal != w.Tenant.Principal {
		t.Errorf("refused before a use case: %+v", got)
	}
	if got := recorded(t, w, "after"); len(got) != 1 || got[0].Outcome != audit.OutcomeOK {
		t.Errorf("refused after a use case: %+v", got)
	}
}

// TestEventsAndRowsHoldNoSecrets does everything that a secret is near to, and looks for its
// bytes, plain, in hex and in base64, in every event and in every stored row of a credential.
func TestEventsAndRowsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	s := newScene(t, w, w.Tenant.Vault)
	plaintext, key := []byte("correct horse battery staple"), []byte("hush-hush-hush-hush")
	context := map[string]string{"customer": "tell nobody about me"}
	secrets := [][]byte{plaintext, key, []byte(context["customer"])}
	ref := s.aesRef()
	must(t, w, func(c *kms.Call) error {
		out, err := w.Encrypt(t.Context(), c, kms.EncryptRequest{Key: ref, Plaintext: plaintext, Context: context})
		if err != nil {
			return err
		}
		if _, err := w.Decrypt(t.Context(), c, kms.DecryptRequest{Key: &ref, Ciphertext: out.Ciphertext, Context: context}); err != nil {
			return err
		}
		_, refused := w.Decrypt(t.Context(), c, kms.DecryptRequest{Key: &ref, Ciphertext: out.Ciphertext})
		want(t, "decrypt without its context", refused, keys.KindCiphertext)
		dek, err := w.GenerateDataKey(t.Context(), c, kms.DataKeyRequest{Key: ref, Bytes: 32})
		if err != nil {
			return err
		}
		secrets = append(secrets, bytes.Clone(dek.Plaintext))
		again := kms.DecryptRequest{Key: &ref, Ciphertext: out.Ciphertext, Context: context}
		if _, err := w.ReEncrypt(t.Context(), c, kms.ReEncryptRequest{Source: again, Key: ref, Context: context}); err != nil {
			return err
		}
		if _, err := w.ExportDataKey(t.Context(), c, kms.ExportRequest{Source: again, Under: rsaUnder(t, w)}); err != nil {
			return err
		}
		mac := s.macRequest()
		mac.Message = plaintext
		if _, err := w.GenerateMAC(t.Context(), c, mac); err != nil {
			return err
		}
		_, err = w.Sign(t.Context(), c, kms.SignRequest{Key: s.ecRef(), Algorithm: keys.ECDSASHA256, Message: plaintext})
		return err
	})
	must(t, w, func(c *kms.Call) error {
		return second(w.AddAccessKey(t.Context(), c, w.Tenant.Principal, "LTAI-new", secret.Copy(key)))
	})
	var text []byte
	for _, ev := range events(t, w) {
		text = append(ev.AppendJSON(text), '\n')
	}
	rows, err := w.Credentials(t.Context(), w.System("test"), w.Tenant.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Sealed != nil || row.MAC != nil {
			t.Errorf("the list of credentials gives out sealed bytes of %s", row.Name)
		}
	}
	stored(t, w, func(tx store.Tx) error {
		all, err := tx.Credentials(w.Tenant.ID)
		for _, row := range all {
			text = append(append(text, row.Sealed...), row.MAC...)
			if row.Kind == identity.AccessKey && len(row.Sealed) == 0 {
				t.Errorf("the access key %s is not sealed", row.Name)
			}
		}
		return err
	})
	for _, s := range secrets {
		for what, form := range map[string][]byte{
			"plain": s, "hex": []byte(hex.EncodeToString(s)), "base64": []byte(base64.StdEncoding.EncodeToString(s)),
		} {
			if bytes.Contains(text, form) {
				t.Errorf("a secret of %d bytes stands there, %s", len(s), what)
			}
		}
	}
}
