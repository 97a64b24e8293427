// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main_test

import (
	"cmp"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Clients of all nodes together must see each key as if there were one node: whatever is called, and
// wherever, takes effect at one moment between its call and its answer.

// attempt is one call on a key.
type attempt struct {
	node int    // that was called, for people
	key  string // the OCID; of a creation that was answered, what it answered
	what string
}

// The calls. Enable and disable of OCI want the other state; those of Alibaba are content with
// the one that they lead to. What OCI cancels goes back to the state before, with Alibaba the
// key is enabled.
const (
	createCall   = "create"
	rotateCall   = "rotate"
	enableCall   = "enable"
	ensureCall   = "ensure enabled"
	disableCall  = "disable"
	forbidCall   = "ensure disabled"
	scheduleCall = "schedule deletion"
	cancelCall   = "cancel deletion"
	restoreCall  = "cancel deletion and enable"
	encryptCall  = "encrypt"
	decryptCall  = "decrypt"
	lookCall     = "look"
)

// changes reports whether a call changes a key when it is granted.
func changes(what string) bool { return what != encryptCall && what != decryptCall && what != lookCall }

// result is what an attempt came to.
type result struct {
	unknown bool   // no answer, or one that says that it may have been done
	refused bool   // for the key's state
	version string // that was made, was encrypted with, or is the primary
	state   string // that was seen
}

// keyState is a key, as the model has it. The zero value is a key that was not made.
type keyState struct {
	state, before string
	primary       string // "?" after a rotation without an answer, until somebody sees the version
	versions      string // those that are known, each after a space
}

func (k keyState) has(version string) bool { return strings.Contains(k.versions, " "+version) }

func (k keyState) to(state string) keyState {
	k.state = state
	return k
}

// rotated is k with a new primary version.
func (k keyState) rotated(version string) keyState {
	if k.primary = version; version != "?" {
		k.versions += " " + version
	}
	return k
}

// sees is k once somebody has seen its primary version, and whether that can be.
func (k keyState) sees(version string) (bool, keyState) {
	if k.primary == "?" && !k.has(version) {
		return true, k.rotated(version)
	}
	return k.primary == version, k
}

// change is what a call makes of a key, and whether it may.
func (k keyState) change(what string) (keyState, bool) {
	usable := k.state == enabled || k.state == disabled
	switch what {
	case createCall:
		return keyState{state: enabled}, k.state == ""
	case rotateCall:
		return k, k.state == enabled
	case enableCall:
		return k.to(enabled), k.state == disabled
	case disableCall:
		return k.to(disabled), k.state == enabled
	case ensureCall:
		return k.to(enabled), usable
	case forbidCall:
		return k.to(disabled), usable
	case scheduleCall:
		before := k.state
		k = k.to(pending)
		k.before = before
		return k, usable
	case cancelCall:
		before := k.before
		k = k.to(before)
		k.before = ""
		return k, k.state != "" && before != ""
	case restoreCall:
		was := k.state
		k = k.to(enabled)
		k.before = ""
		return k, was == pending
	}
	return k, k.state == enabled // data calls
}

// step says whether a call may have come to a result, and what the key is then. A call of which
// nothing is known may have been done at any time since, or never: its end is that of the history,
// where nobody sees whether it was.
func (k keyState) step(a attempt, r result) (bool, keyState) {
	next, may := k.change(a.what)
	switch {
	case r.unknown && !may:
		return true, k
	case r.unknown && (a.what == rotateCall || a.what == createCall):
		return true, next.rotated("?")
	case r.unknown:
		return true, next
	case a.what == lookCall:
		ok, seen := k.sees(r.version)
		return ok && k.state == r.state, seen
	case r.refused:
		return !may && k.state != "", k
	case !may:
		return false, k
	}
	switch a.what {
	case createCall, rotateCall:
		return !k.has(r.version), next.rotated(r.version)
	case encryptCall:
		return k.sees(r.version)
	}
	return true, next // a ciphertext that there is has a version
}

// keyModel is one key, for the checker.
func keyModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return keyState{} },
		Step: func(state, in, out any) (bool, any) {
			ok, next := state.(keyState).step(in.(attempt), out.(result))
			return ok, next
		},
		DescribeOperation: func(in, out any) string {
			a, r := in.(attempt), out.(result)
			what := fmt.Sprintf("%s at %d", a.what, a.node+1)
			switch {
			case r.unknown:
				return what + ": ?"
			case r.refused:
				return what + ": refused"
			}
			return strings.Join(strings.Fields(fmt.Sprint(what, " ", r.state, " ", short(r.version))), " ")
		},
		DescribeState: func(state any) string {
			k := state.(keyState)
			return fmt.Sprint(k.state, " ", short(k.primary))
		},
	}
}

func short(id string) string { return id[:min(8, len(id))] }

// history is what clients have called and been answered, by one clock.
type history struct {
	began time.Time

	mu  sync.Mutex
	ops []porcupine.Operation // guarded by mu; Return is 0 where there is no answer
}

func newHistory() *history { return &history{began: time.Now()} }

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// add notes a call that is over, but for a call that changes nothing and got no answer.
func (h *history) add(client int, call int64, a attempt, r result) {
	op := porcupine.Operation{ClientId: client, Input: a, Call: call, Output: r, Return: h.now()}
	if r.unknown {
		if !changes(a.what) {
			return
		}
		op.Return = 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// check looks for an order in which the calls could have been done one by one, of each key alone.
// Without one it leaves a picture in a file.
func (h *history) check(picture string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := h.now()
	ops := make([]porcupine.Operation, len(h.ops))
	for i, op := range h.ops {
		if op.Return == 0 {
			op.Return = end
		}
		ops[i] = op
	}
	model := keyModel()
	for _, part := range byKey(ops) {
		verdict, info := porcupine.CheckOperationsVerbose(model, part, hang)
		if verdict == porcupine.Ok {
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(picture), 0o700), porcupine.VisualizePath(model, info, picture)); err != nil {
			return err
		}
		return fmt.Errorf("the history of a key is not linearizable (%s): look at %s\n%s", verdict, picture, listing(model, part))
	}
	return nil
}

// byKey are the histories of the keys.
func byKey(all []porcupine.Operation) [][]porcupine.Operation {
	var parts [][]porcupine.Operation
	places := map[string]int{}
	for _, op := range all {
		key := op.Input.(attempt).key
		i, known := places[key]
		if !known {
			i, places[key] = len(parts), len(parts)
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], op)
	}
	return parts
}

// listing is a history as text, with times in microseconds.
func listing(model porcupine.Model, ops []porcupine.Operation) string {
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var text strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&text, "%9d %9d  client %d  %s\n", op.Call/1000, op.Return/1000, op.ClientId, model.DescribeOperation(op.Input, op.Output))
	}
	return text.String()
}

// recordID is the id in the OCID of a key or version, as ciphertexts and Alibaba's API have it.
func recordID(t *testing.T, ocid string) string {
	t.Helper()
	unique := ocid[strings.LastIndexByte(ocid, '.')+1:]
	if len(unique) != 60 {
		t.Fatalf("%q is not the OCID of a key or version", ocid)
	}
	id, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(unique[8:34]))
	if err != nil || len(id) != 16 {
		t.Fatalf("%q is not the OCID of a key or version: %v", ocid, err)
	}
	x := hex.EncodeToString(id)
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// TestModel gives the checker histories of which it is known what it must say.
func TestModel(t *testing.T) {
	t.Parallel()
	type call struct {
		from, to int64 // to 0: no answer
		attempt
		result
	}
	made := call{1, 2, attempt{what: createCall}, result{version: "a"}}
	for name, c := range map[string]struct {
		calls []call
		want  bool
	}{
		"used before it was disabled":   {[]call{made, {3, 6, attempt{what: encryptCall}, result{version: "a"}}, {4, 5, attempt{what: disableCall}, result{}}}, true},
		"used after it was disabled":    {[]call{made, {3, 4, attempt{what: disableCall}, result{}}, {5, 6, attempt{what: encryptCall}, result{version: "a"}}}, false},
		"disabled without an answer":    {[]call{made, {3, 0, attempt{what: disableCall}, result{unknown: true}}, {4, 5, attempt{what: encryptCall}, result{version: "a"}}, {6, 7, attempt{what: encryptCall}, result{refused: true}}}, true},
		"refused, and nobody disabled":  {[]call{made, {4, 5, attempt{what: encryptCall}, result{refused: true}}}, false},
		"the old version after the new": {[]call{made, {3, 4, attempt{what: rotateCall}, result{version: "b"}}, {5, 6, attempt{what: encryptCall}, result{version: "a"}}}, false},
		"a rotation without an answer":  {[]call{made, {3, 0, attempt{what: rotateCall}, result{unknown: true}}, {5, 6, attempt{what: encryptCall}, result{version: "b"}}}, true},
		"there and back": {[]call{
			made,
			{3, 0, attempt{what: rotateCall}, result{unknown: true}},
			{5, 6, attempt{what: encryptCall}, result{version: "b"}},
			{7, 8, attempt{what: encryptCall}, result{version: "a"}},
		}, false},
		"cancelled into disabled": {[]call{
			made,
			{3, 4, attempt{what: disableCall}, result{}},
			{5, 6, attempt{what: scheduleCall}, result{}},
			{7, 8, attempt{what: cancelCall}, result{}},
			{9, 10, attempt{what: lookCall}, result{version: "a", state: disabled}},
		}, true},
		"opened while scheduled": {[]call{made, {3, 4, attempt{what: scheduleCall}, result{}}, {5, 6, attempt{what: decryptCall}, result{}}}, false},
		"refused by one node, and then used at another, while it is disabled": {[]call{
			made,
			{3, 9, attempt{what: disableCall, node: 2}, result{}},
			{4, 5, attempt{what: encryptCall, node: 2}, result{refused: true}},
			{6, 7, attempt{what: encryptCall}, result{version: "a"}},
		}, false},
		"refused by one node, while another uses it and it is disabled": {[]call{
			made,
			{3, 9, attempt{what: disableCall, node: 2}, result{}},
			{4, 7, attempt{what: encryptCall, node: 2}, result{refused: true}},
			{5, 6, attempt{what: encryptCall}, result{version: "a"}},
		}, true},
		"seen as disabled, and then used at another node": {[]call{
			made,
			{3, 9, attempt{what: disableCall, node: 2}, result{}},
			{4, 5, attempt{what: lookCall, node: 2}, result{version: "a", state: disabled}},
			{6, 7, attempt{what: encryptCall}, result{version: "a"}},
		}, false},
		"used at one node, and then refused by another, while it is enabled": {[]call{
			made,
			{3, 4, attempt{what: disableCall}, result{}},
			{5, 12, attempt{what: enableCall, node: 2}, result{}},
			{6, 7, attempt{what: encryptCall, node: 2}, result{version: "a"}},
			{8, 9, attempt{what: encryptCall}, result{refused: true}},
		}, false},
		"the old version after the new, at another node, while it is rotated": {[]call{
			made,
			{3, 9, attempt{what: rotateCall, node: 2}, result{version: "b"}},
			{4, 5, attempt{what: encryptCall, node: 2}, result{version: "b"}},
			{6, 7, attempt{what: encryptCall}, result{version: "a"}},
		}, false},
		"and not after it": {[]call{
			made, {3, 5, attempt{what: disableCall, node: 2}, result{}}, {6, 7, attempt{what: encryptCall}, result{version: "a"}},
		}, false},
	} {
		h := newHistory()
		for _, op := range c.calls {
			h.ops = append(h.ops, porcupine.Operation{Input: op.attempt, Call: op.from, Output: op.result, Return: op.to})
		}
		if err := h.check(filepath.Join(t.TempDir(), "history.html")); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
