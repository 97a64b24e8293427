// SPDX-License-Identifier: Apache-2.0

package kms_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/audit"
	"claviger/internal/identity"
	"claviger/internal/keys"
	"claviger/internal/kms"
	"claviger/internal/kms/kmstest"
	"claviger/internal/store"
)

// held is work that begins, tells so, and goes on when it is let.
type held struct {
	begun chan parts
	let   chan error
}

// parts makes the progress of parts of a job.
type parts func(from, to int) kms.Progress

func newHeld() *held { return &held{begun: make(chan parts, 100), let: make(chan error, 100)} }

func (h *held) run(ctx context.Context, p func(from, to int) kms.Progress) error {
	h.begun <- p
	select {
	case err := <-h.let:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// impatient answers at once, whatever is still to be done.
func impatient(c *kms.Config) { c.Patience = -1 }

// patient answers when all is done.
func patient(c *kms.Config) { c.Patience = time.Hour }

func doWork(t testing.TB, w *kmstest.World, token string, run kms.Run, done func() error) (out *kms.Working, err error) {
	t.Helper()
	err = as(t, w, w.Tenant, func(c *kms.Call) (err error) {
		c.Token = token
		out, err = w.DoWork(t.Context(), c, w.Tenant.Vault, run, done)
		return err
	})
	return out, err
}

func readWork(t testing.TB, w *kmstest.World, id keys.ID) (out *keys.WorkRequest) {
	t.Helper()
	must(t, w, func(c *kms.Call) (err error) {
		out, err = w.WorkRequest(t.Context(), c, kms.WorkRef{ID: id})
		return err
	})
	return out
}

// TestWorkIsSettledInTheAnswer does work that is over before the request's patience is.
func TestWorkIsSettledInTheAnswer(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(patient))
	h := newHeld()
	var effects atomic.Int64
	answered := make(chan *kms.Working)
	go func() {
		out, err := doWork(t, w, "token", h.run, func() error { effects.Add(1); return nil })
		if err != nil {
			t.Error(err)
		}
		answered <- out
	}()
	p := <-h.begun
	list := func() []*keys.WorkRequest {
		var out *kms.List[*keys.WorkRequest]
		must(t, w, func(c *kms.Call) (err error) {
			out, err = w.WorkRequests(t.Context(), c, kms.WorkFilter{}, kms.Page{})
			return err
		})
		return out.Items
	}
	p(50, 100)(1, 2)
	p(0, 100)(1, 100) // never back
	if all := list(); len(all) != 1 || all[0].Status != keys.WorkInProgress || all[0].Percent != 75 || all[0].StartedAt.IsZero() {
		t.Errorf("under way it is %+v", all)
	}
	h.let <- nil
	out := <-answered
	want := &keys.WorkRequest{
		ID: out.Work.ID, Tenant: w.Tenant.ID, Compartment: w.Tenant.ID, Vault: w.Tenant.Vault, Region: kmstest.Region,
		Action: keys.UpdateVault, Status: keys.WorkSucceeded, Percent: 100, Creator: w.Tenant.Principal,
		Resources: []keys.WorkResource{{Type: keys.TypeVault, ID: w.Tenant.Vault, Vault: w.Tenant.Vault, Region: kmstest.Region, Effect: keys.WorkUpdated}},
		CreatedAt: w.Clock.Now(), StartedAt: w.Clock.Now(), FinishedAt: w.Clock.Now(), Revision: out.Work.Revision,
	}
	if diff := cmp.Diff(want, out.Work); diff != "" {
		t.Errorf("the answer's work request (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, readWork(t, w, want.ID)); diff != "" {
		t.Errorf("the work request as read (-want +got):\n%s", diff)
	}
	again, err := doWork(t, w, "token", h.run, nil)
	if err != nil || cmp.Diff(out.Work, again.Work) != "" || effects.Load() != 1 || len(h.begun) != 0 {
		t.Errorf("the repeat: %v, %d effects\n%s", err, effects.Load(), cmp.Diff(out, again))
	}
	if got := updates(t, w); !slices.Equal(got, []string{"ok", "ok"}) {
		t.Errorf("recorded: %q, want the beginning and the end", got)
	}
}

// updates are the outcomes of the events of the tests' own operation, in the order of the store.
func updates(t testing.TB, w *kmstest.World) (out []string) {
	t.Helper()
	err := w.Store.View(t.Context(), func(tx store.Tx) error {
		events, err := tx.Events(0, 0)
		for _, e := range events {
			if e.Event.Action == keys.UpdateVault {
				out = append(out, e.Event.Outcome)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWorkThatFails ends work requests as failures, and says why to whoever asks, and to the
// repeat of the request too.
func TestWorkThatFails(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(patient))
	refusal := &keys.Error{Kind: keys.KindInvalid, Noun: keys.TypeKey, Field: "name", Hint: "no such name"}
	quick := func(err error) kms.Run {
		return func(context.Context, func(from, to int) kms.Progress) error { return err }
	}
	for name, c := range map[string]struct {
		run  func(context.Context, func(from, to int) kms.Progress) error
		done func() error
		want keys.Kind
	}{
		"refused":    {quick(refusal), nil, keys.KindInvalid},
		"broken":     {quick(errors.New("disk on fire")), nil, keys.KindInternal},
		"panics":     {func(context.Context, func(from, to int) kms.Progress) error { panic("no") }, nil, keys.KindInternal},
		"at the end": {quick(nil), func() error { return refusal }, keys.KindInvalid},
	} {
		_, err := doWork(t, w, name, c.run, c.done)
		want(t, name, err, c.want)
		_, err = doWork(t, w, name, quick(nil), nil)
		want(t, name+", repeated", err, c.want)
		if e := keys.AsError(err); c.want == keys.KindInvalid && (e.Hint != refusal.Hint || e.Noun != refusal.Noun || e.Field != refusal.Field) {
			t.Errorf("%s: answered %+v", name, e)
		}
	}
	if got := updates(t, w); len(got) != 8 || slices.Index(got, string(keys.KindInvalid)) < 0 {
		t.Errorf("recorded: %q", got)
	}
	must(t, w, func(c *kms.Call) error {
		list, err := w.WorkRequests(t.Context(), c, kms.WorkFilter{}, kms.Page{})
		for _, x := range list.Items {
			notes, err := w.WorkErrors(t.Context(), c, kms.WorkRef{ID: x.ID}, kms.Page{})
			if err != nil || x.Status != keys.WorkFailed || !x.Finished() || len(notes.Items) != 1 || notes.Items[0].At != w.Clock.Now() {
				t.Errorf("%+v: %+v %v", x, notes, err)
			}
		}
		return err
	})
}

// TestWorkOfWhoIsGone takes the credential away while the work is under way: its effect does not
// come any more.
func TestWorkOfWhoIsGone(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(patient))
	who, h := member(t, w, w.Tenant, "temp", identity.Admin, keys.ID{}), newHeld()
	failed := make(chan error)
	effect := false
	go func() {
		failed <- as(t, w, who, func(c *kms.Call) error {
			return second(w.DoWork(t.Context(), c, w.Tenant.Vault, h.run, func() error { effect = true; return nil }))
		})
	}()
	<-h.begun
	if err := w.DeletePrincipal(t.Context(), w.System("test"), who.Principal); err != nil {
		t.Fatal(err)
	}
	h.let <- nil
	want(t, "work of a principal that was deleted", <-failed, keys.KindUnauthenticated)
	if effect {
		t.Error("it had its effect")
	}
}

// TestWorkTakesTurns begins more work than is done at once, and more than is accepted.
func TestWorkTakesTurns(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(impatient))
	h := newHeld()
	var all []*keys.WorkRequest
	for range 64 {
		out, err := doWork(t, w, "", h.run, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.Work)
	}
	want(t, "one more", second(doWork(t, w, "", h.run, nil)), keys.KindThrottled)
	<-h.begun
	<-h.begun
	statuses := map[keys.WorkStatus]int{}
	for _, x := range all {
		statuses[readWork(t, w, x.ID).Status]++
	}
	if diff := cmp.Diff(map[keys.WorkStatus]int{keys.WorkInProgress: 2, keys.WorkAccepted: 62}, statuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range 62 {
		h.let <- nil
		<-h.begun
	}
}

// TestWorkEndsWithTheServer stops the server over work, and finds work that a server that was
// killed has left.
func TestWorkEndsWithTheServer(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.InDir(kmstest.Dir(t)), kmstest.With(impatient))
	h := newHeld()
	stopped, err := doWork(t, w, "", h.run, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-h.begun
	left := []*keys.WorkRequest{}
	for i, owner := range []string{"", "", "another run"} {
		x := &keys.WorkRequest{
			ID: keys.ID{byte(i + 1)}, Tenant: w.Tenant.ID, Region: kmstest.Region, Action: keys.UpdateVault,
			Status: keys.WorkInProgress, Owner: owner, CreatedAt: w.Clock.Now(),
		}
		if i == 0 {
			x.Status = keys.WorkAccepted
		}
		if _, err := w.Store.Update(t.Context(), func(tx store.Tx) error { return tx.Put(x) }); err != nil {
			t.Fatal(err)
		}
		left = append(left, x)
	}
	w.Restart(t)
	for i, x := range append(left, stopped.Work) {
		got := readWork(t, w, x.ID)
		if got.Status != keys.WorkFailed || len(got.Errors) != 1 || got.Errors[0].Kind != keys.KindUnavailable {
			t.Errorf("work request %d: %+v", i, got)
		}
	}
}

// TestListsOfWork reads lists page by page, and those of one resource or compartment only.
func TestListsOfWork(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	elsewhere := newVault(t, w, "elsewhere")
	var own, others []keys.ID
	for i := range 7 {
		vault := w.Tenant.Vault
		if i%3 == 2 {
			vault = elsewhere
		}
		must(t, w, func(c *kms.Call) error {
			out, err := w.DoWork(t.Context(), c, vault, func(context.Context, func(from, to int) kms.Progress) error { return nil }, nil)
			if vault == elsewhere {
				others = append(others, out.Work.ID)
			} else {
				own = append(own, out.Work.ID)
			}
			return err
		})
		w.Clock.Add(time.Second)
	}
	for _, f := range []struct {
		filter kms.WorkFilter
		want   []keys.ID
	}{
		{kms.WorkFilter{Resource: elsewhere}, others},
		{kms.WorkFilter{Resource: w.Tenant.Vault}, own},
		{kms.WorkFilter{Resource: keys.ID{1}}, nil},
		{kms.WorkFilter{Compartment: w.Tenant.Names["oci"]}, []keys.ID{own[0], own[1], others[0], own[2], own[3], others[1], own[4]}},
	} {
		for _, limit := range []int{0, 1, 2, 3, 7} {
			for _, desc := range []bool{false, true} {
				want := slices.Clone(f.want)
				if desc {
					slices.Reverse(want)
				}
				got := workPages(t, w, f.filter, kms.Page{Limit: limit, Desc: desc})
				if !slices.Equal(got, want) {
					t.Errorf("%+v, pages of %d, descending %t: %v, want %v", f.filter, limit, desc, got, want)
				}
			}
		}
	}
	want(t, "an unknown compartment", as(t, w, w.Tenant, func(c *kms.Call) error {
		c.Dialect = "oci"
		return second(w.WorkRequests(t.Context(), c, kms.WorkFilter{Compartment: "ocid1.compartment.none"}, kms.Page{}))
	}), keys.KindNotFound)
	if got := workPages(t, w, kms.WorkFilter{}, kms.Page{Limit: 100}); len(got) != 7 {
		t.Errorf("without a filter there are %d", len(got))
	}
	want(t, "by another tenant", as(t, w, w.Other, func(c *kms.Call) error {
		list, err := w.WorkRequests(t.Context(), c, kms.WorkFilter{}, kms.Page{})
		if err == nil && len(list.Items) != 0 {
			t.Errorf("another tenant sees %d", len(list.Items))
		}
		return err
	}), "")
	want(t, "in another region", as(t, w, w.Tenant, func(c *kms.Call) error {
		c.Region = "away"
		return second(w.WorkRequest(t.Context(), c, kms.WorkRef{ID: own[0]}))
	}), keys.KindNotFound)
}

func workPages(t testing.TB, w *kmstest.World, f kms.WorkFilter, p kms.Page) (out []keys.ID) {
	t.Helper()
	for {
		var list *kms.List[*keys.WorkRequest]
		must(t, w, func(c *kms.Call) (err error) {
			c.Dialect = "oci"
			list, err = w.WorkRequests(t.Context(), c, f, p)
			return err
		})
		if p.Limit > 0 && len(list.Items) > p.Limit {
			t.Fatalf("a page of %d, asked for %d", len(list.Items), p.Limit)
		}
		for _, x := range list.Items {
			out = append(out, x.ID)
		}
		if p.Cursor = list.Next; p.Cursor == "" {
			return out
		}
	}
}

// TestNotesOfWork reads logs page by page, from either end.
func TestNotesOfWork(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t)
	x := &keys.WorkRequest{ID: keys.ID{1}, Tenant: w.Tenant.ID, Region: kmstest.Region, Status: keys.WorkAccepted, CreatedAt: w.Clock.Now()}
	for i := range 5 {
		x.Logs = append(x.Logs, keys.WorkNote{Text: fmt.Sprint(i)})
	}
	if _, err := w.Store.Update(t.Context(), func(tx store.Tx) error { return tx.Put(x) }); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{0, 1, 2, 5, 9} {
		for _, desc := range []bool{false, true} {
			got, p := "", kms.Page{Limit: limit, Desc: desc}
			for more := true; more; more = p.Cursor != "" {
				must(t, w, func(c *kms.Call) error {
					list, err := w.WorkLogs(t.Context(), c, kms.WorkRef{ID: x.ID}, p)
					if err != nil {
						return err
					}
					for _, n := range list.Items {
						got += n.Text
					}
					p.Cursor = list.Next
					return nil
				})
			}
			if want := map[bool]string{false: "01234", true: "43210"}[desc]; got != want {
				t.Errorf("pages of %d, descending %t: %q", limit, desc, got)
			}
		}
	}
	want(t, "a cursor of another list", as(t, w, w.Tenant, func(c *kms.Call) error {
		return second(w.WorkErrors(t.Context(), c, kms.WorkRef{ID: x.ID}, kms.Page{Cursor: w.EncodeCursor("x", store.Mark{}, 1)}))
	}), keys.KindInvalid)
}

// TestFinishedWorkIsForgotten lets the time pass for which finished work requests are remembered.
func TestFinishedWorkIsForgotten(t *testing.T) {
	t.Parallel()
	w := kmstest.New(t, kmstest.With(func(c *kms.Config) { c.Work = time.Hour }))
	var done *kms.Working
	must(t, w, func(c *kms.Call) (err error) {
		done, err = w.FinishedWork(t.Context(), c, w.Tenant.Vault)
		return err
	})
	if got := readWork(t, w, done.Work.ID); got.Status != keys.WorkSucceeded || got.Percent != 100 || !got.Finished() {
		t.Errorf("finished at once: %+v", got)
	}
	for _, c := range []struct {
		after time.Duration
		want  keys.Kind
	}{{time.Hour, ""}, {time.Minute, keys.KindNotFound}} {
		w.Clock.Add(c.after)
		if _, err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, fmt.Sprint(c.after, " later"), as(t, w, w.Tenant, func(call *kms.Call) error {
			return second(w.WorkRequest(t.Context(), call, kms.WorkRef{ID: done.Work.ID}))
		}), c.want)
	}
	if slices.ContainsFunc(w.Audit.Events(), func(e audit.Event) bool { return e.Action == keys.ReadWork && e.Outcome == "" }) {
		t.Error("a read has no outcome")
	}
}
