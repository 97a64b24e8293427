// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"claviger/internal/store"
)

// TestChaosCommands kills the commands that work on a whole store, and a server that reseals a vault,
// at random moments. Given again, each comes to its end, the store verifies, and what was encrypted
// before opens.
func TestChaosCommands(t *testing.T) {
	needsProcesses(t)
	t.Parallel()
	k := newKilling(t)
	t.Run("Copy", k.copies)
	t.Run("Restore", k.restores)
	t.Run("Rotate", k.rotates)
	t.Run("Reseal", k.reseals)
}

// killing is a store on SQLite whose commands are killed.
type killing struct {
	*nodeSet
	random          *rand.Rand
	rounds          int
	key, ciphertext string
	kills           int
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	site, s := newNodeSet(t, build(t), "", 1)
	k := &killing{nodeSet: site, random: rand.New(rand.NewPCG(chaosSeed(t), 4)), rounds: max(3, chaosKills(t)/5)}
	c, ctx := site.caller(t, 0), t.Context()
	k.key = must(t, "create key", c.createKey(ctx, "k", aes256(), "")).text("id")
	k.ciphertext = must(t, "encrypt", c.encrypt(ctx, k.key, []byte("kept"))).text("ciphertext")
	s.stop(t)
	k.must(t, "store", "fill", "--config", k.config(), "--tenant", "acme", "--keys", "200", "--versions", "2000", "--largest", "500")
	return k
}

func (k *killing) config() string { return k.nodes[0].config }

// must runs a command that must come to a good end.
func (k *killing) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(k.binary, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("claviger %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// timed is must, and how long it took.
func (k *killing) timed(t *testing.T, args ...string) time.Duration {
	t.Helper()
	began := time.Now()
	k.must(t, args...)
	return time.Since(began)
}

// once kills a command at a random moment of the given time, and reports whether it came to its end
// before. Where it had come to its end in an earlier run it may be refused with the words of done.
func (k *killing) once(t *testing.T, within time.Duration, done string, args ...string) bool {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(k.binary, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if within > 0 {
		timer := time.AfterFunc(time.Duration(k.random.Int64N(int64(within))), func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		k.kills++
		return false
	}
	if err != nil && (done == "" || !strings.Contains(said.String(), done)) {
		t.Fatalf("claviger %s, after it was killed: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return true
}

// finish kills a command once or twice, and then lets it come to its end.
func (k *killing) finish(t *testing.T, within time.Duration, done string, args ...string) {
	t.Helper()
	for range 1 + k.random.IntN(2) {
		if k.once(t, within, done, args...) {
			return
		}
	}
	k.once(t, 0, done, args...)
}

// sibling is the server's configuration with another data directory.
func (k *killing) sibling(t *testing.T) (config, data string) {
	t.Helper()
	dir := t.TempDir()
	config, data = filepath.Join(dir, "claviger.toml"), filepath.Join(dir, "data")
	write(t, config, bytes.ReplaceAll(read(t, k.config()), []byte(k.nodes[0].data), []byte(data)))
	return config, data
}

// head is how far the store in a directory has come.
func (k *killing) head(t *testing.T, data string) (h store.Head) {
	t.Helper()
	err := inStore(t.Context(), data, func(s store.Store) error {
		return s.View(t.Context(), func(tx store.Tx) (err error) {
			h, err = tx.Head()
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// serves starts a server with a configuration, which must open what was encrypted before.
func (k *killing) serves(t *testing.T, config string) {
	t.Helper()
	site := *k.nodeSet
	site.nodes = []*setNode{{config: config, admin: k.nodes[0].admin, region: k.nodes[0].region}}
	s := site.start(t, 0)
	site.caller(t, 0).opens(t.Context(), t, k.key, k.ciphertext, []byte("kept"))
	s.stop(t)
}

func (k *killing) copies(t *testing.T) {
	_, data := k.sibling(t)
	within := k.timed(t, "store", "copy", "--from", k.config(), "--to", "sqlite:"+data)
	want := k.head(t, k.nodes[0].data)
	for round := range k.rounds {
		config, data := k.sibling(t)
		k.finish(t, within, "holds keys already", "store", "copy", "--from", k.config(), "--to", "sqlite:"+data)
		k.must(t, "store", "verify", "--config", config)
		if got := k.head(t, data); got != want {
			t.Errorf("the copy is at %+v, and what was copied at %+v", got, want)
		}
		if round == 0 {
			k.serves(t, config)
		}
	}
	k.tell(t)
}

func (k *killing) restores(t *testing.T) {
	backup := filepath.Join(t.TempDir(), "backup")
	k.must(t, "backup", "create", "--direct", "--config", k.config(), "--out", backup)
	config, _ := k.sibling(t)
	within := k.timed(t, "backup", "restore", "--config", config, backup)
	want := k.head(t, k.nodes[0].data)
	for round := range k.rounds {
		config, data := k.sibling(t)
		k.finish(t, within, "into a new one only", "backup", "restore", "--config", config, backup)
		k.must(t, "store", "verify", "--config", config)
		if got := k.head(t, data); got != want {
			t.Errorf("what was restored is at %+v, and what was backed up at %+v", got, want)
		}
		if round == 0 {
			k.serves(t, config)
		}
	}
	k.tell(t)
}

func (k *killing) rotates(t *testing.T) {
	within := k.timed(t, "root", "rotate", "--config", k.config())
	for round := range k.rounds {
		k.once(t, within, "", "root", "rotate", "--config", k.config())
		if round == 0 {
			k.serves(t, k.config()) // with the root keys as they are
		}
		k.finish(t, within, "", "root", "rotate", "--config", k.config())
		k.must(t, "store", "verify", "--config", k.config())
	}
	k.serves(t, k.config())
	k.tell(t)
}

// reseals kills the server, whose work resealing is.
func (k *killing) reseals(t *testing.T) {
	c, ctx := k.caller(t, 0), t.Context()
	s := k.start(t, 0)
	within := k.timed(t, "vault", "reseal", "default", "--config", k.config())
	for range k.rounds {
		command := exec.CommandContext(ctx, k.binary, "vault", "reseal", "default", "--config", k.config())
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(k.random.Int64N(int64(within))))
		s.kill()
		_ = command.Process.Kill() // it waits for the server to come back
		_ = command.Wait()
		k.kills++
		s = k.start(t, 0)
		c.opens(ctx, t, k.key, k.ciphertext, []byte("kept"))
		k.must(t, "vault", "reseal", "default", "--config", k.config())
		c.opens(ctx, t, k.key, k.ciphertext, []byte("kept"))
	}
	s.stop(t)
	k.must(t, "store", "verify", "--config", k.config())
	// Every KEK but the one in force is gone: whatever was left in between was taken up again.
	err := inStore(ctx, k.nodes[0].data, func(s store.Store) error {
		return s.View(ctx, func(tx store.Tx) error { return k.oneKEK(tx) })
	})
	if err != nil {
		t.Error(err)
	}
	k.tell(t)
}

// oneKEK wants one KEK of each vault, and everything under it.
func (k *killing) oneKEK(tx store.Tx) error {
	tenants, err := tx.Tenants()
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		vaults, err := tx.Vaults(store.VaultQuery{Tenant: tenant.ID})
		if err != nil {
			return err
		}
		for _, v := range vaults {
			if v.KEKGeneration < k.rounds {
				return fmt.Errorf("the KEK is of generation %d after more reseals", v.KEKGeneration)
			}
			for g := 1; g < v.KEKGeneration; g++ {
				if err := tx.Load(&store.KEK{Owner: v.ID, Generation: g}); !errors.Is(err, store.ErrNotFound) {
					return fmt.Errorf("the KEK of generation %d is there beside that of %d: %w", g, v.KEKGeneration, err)
				}
			}
		}
	}
	return nil
}

// tell says how much was killed since it was called last.
func (k *killing) tell(t *testing.T) {
	t.Helper()
	t.Logf("%d kills in %d rounds", k.kills, k.rounds)
	k.kills = 0
}
