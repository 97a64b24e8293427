// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"claviger/internal/bench"
)

// starts measures how soon a server with an existing database answers its first data call, how much memory
// it takes, and how big it is.
func starts(ctx context.Context, o options, out, talk io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.scratch, "claviger-start-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	is, err := exec.CommandContext(ctx, o.claviger, "--version").Output()
	if err != nil {
		return fmt.Errorf("claviger --version: %w", err)
	}
	fmt.Fprint(out, string(is)) // which says the mode of FIPS 140-3 that its processes run in here
	var figures []figure
	for _, size := range []struct {
		keys, versions int
		most           float64 // milliseconds to the first answer
		use            bool
	}{{10, 10, 100, false}, {10_000, 100_000, 0, true}, {100_000, 100_000, 150, false}} {
		fmt.Fprintf(talk, "a database of %d keys with %d versions\n", size.keys, size.versions)
		f, err := startsWith(ctx, o, dir, size.keys, size.versions, size.most, size.use, talk)
		if err != nil {
			return err
		}
		figures = append(figures, f...)
	}
	for _, binary := range [][2]string{{o.claviger, "as built"}, {o.stripped, "stripped"}} {
		if binary[0] == "" {
			continue
		}
		info, err := os.Stat(binary[0])
		if err != nil {
			return err
		}
		f := figure{"MiB of the binary, " + binary[1], fmt.Sprintf("%.1f", mib(info.Size())), "–"}
		if binary[0] == o.stripped {
			f.target = judged("≤ 40", mib(info.Size()) <= 40)
		}
		figures = append(figures, f)
	}
	reportFigures(figures, out)
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// startsWith measures a server whose database has so many keys and versions.
func startsWith(ctx context.Context, o options, dir string, keys, versions int, mostMillis float64, use bool, talk io.Writer) (out []figure, err error) {
	s, err := newSite(ctx, o.claviger, dir, "", nil)
	if err != nil {
		return nil, err
	}
	plan, err := bench.Prepare(ctx, s.target(bench.OCI), bench.Workload{Mix: []bench.Share{{Operation: "encrypt", Weight: 1}}, Size: 32, Connections: 1, Pool: 1}, surroundings())
	if err := errors.Join(err, s.stop()); err != nil {
		return nil, err
	}
	fill := exec.CommandContext(ctx, o.claviger, "store", "fill", "--config", s.config(), "--tenant", "acme",
		"--keys", strconv.Itoa(keys), "--versions", strconv.Itoa(versions), "--largest", strconv.Itoa(max(1, versions/keys)))
	if text, err := fill.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("claviger store fill: %w\n%s", err, text)
	}
	key := plan.Keys()[bench.AES].ID
	var times []float64
	name := fmt.Sprintf("%d keys with %d versions: ", keys, versions)
	for i := range o.rounds {
		took, err := s.firstAnswer(ctx, o.claviger, key)
		if err != nil {
			return nil, err
		}
		times = append(times, float64(took.Microseconds())/1000)
		if last := i == o.rounds-1; last { // memory hardly differs from one start to the next
			out, err = s.occupied(ctx, o, name, keys == 10, use, talk)
		}
		if err := errors.Join(err, s.stop()); err != nil {
			return nil, err
		}
	}
	first := figure{name + "ms from the start to the first Encrypt answered", fmt.Sprintf("%.0f [%.0f–%.0f]", median(times), slices.Min(times), slices.Max(times)), "–"}
	if mostMillis > 0 {
		first.target = judged(fmt.Sprintf("≤ %.0f", mostMillis), median(times) <= mostMillis)
	}
	return append([]figure{first}, out...), nil
}

// occupied tells what memory the server takes when it has nothing to do, and, where use, after every version
// was used: at once, and when it has nothing to do again.
func (s *site) occupied(ctx context.Context, o options, name string, judge, use bool, talk io.Writer) ([]figure, error) {
	if err := rest(ctx, s.pid(), o.calm); err != nil {
		return nil, err
	}
	m, err := memoryOf(s.pid())
	if err != nil {
		return nil, err
	}
	still := m.figure(name+"MiB resident, idle", "–")
	if judge {
		still.target = judged("≤ 32", m.own() <= 32)
	}
	if !use {
		return []figure{still}, nil
	}
	used, err := s.useAll(ctx, talk)
	if err != nil {
		return nil, err
	}
	name += fmt.Sprintf("%d versions used once: ", used)
	atOnce, err := memoryOf(s.pid())
	if err = errors.Join(err, rest(ctx, s.pid(), o.calm)); err != nil {
		return nil, err
	}
	later, err := memoryOf(s.pid())
	return []figure{
		still, atOnce.figure(name+"MiB resident, at once", "–"),
		later.figure(name+"MiB resident, idle again", judged("≤ 120", later.own() <= 120)),
	}, err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// firstAnswer starts the server and asks it to encrypt, again and again, until it does.
func (s *site) firstAnswer(ctx context.Context, binary, key string) (time.Duration, error) {
	caller, err := bench.NewCaller(s.target(bench.OCI), time.Now)
	if err != nil {
		return 0, err
	}
	defer caller.Close()
	body := fmt.Appendf(nil, `{"keyId":%q,"plaintext":"AAAA"}`, key)
	begin := time.Now()
	if s.process, err = start(binary, func(string) {}, "serve", "--config", s.config()); err != nil {
		return 0, err
	}
	var last error
	err = s.await(ctx, func() bool {
		_, _, last = caller.Call(http.MethodPost, "/20180608/encrypt", body)
		_, refused := errors.AsType[*bench.Refusal](last)
		return last == nil || refused
	})
	took := time.Since(begin)
	if err = errors.Join(err, last); err != nil {
		return 0, errors.Join(err, s.stop())
	}
	return took, nil
}

// useAll encrypts once under each version of each key, and tells how many that are.
func (s *site) useAll(ctx context.Context, talk io.Writer) (int64, error) {
	lister, err := bench.NewCaller(s.target(bench.OCI), time.Now)
	if err != nil {
		return 0, err
	}
	defer lister.Close()
	base := "/20180608/keys?limit=1000&compartmentId=" + url.QueryEscape(s.oci.Compartment)
	keys, err := listAll(lister, base)
	if err != nil {
		return 0, err
	}
	var next, used atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, 1)
	for range 4 {
		group.Go(func() {
			if err := s.useEach(ctx, keys, &next, &used, talk); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	return used.Load(), nil
}

// useEach takes keys until none is left.
func (s *site) useEach(ctx context.Context, keys []string, next, used *atomic.Int64, talk io.Writer) error {
	caller, err := bench.NewCaller(s.target(bench.OCI), time.Now)
	if err != nil {
		return err
	}
	defer caller.Close()
	for ctx.Err() == nil {
		i := next.Add(1) - 1
		if i >= int64(len(keys)) {
			return nil
		}
		if i%1000 == 0 {
			fmt.Fprintf(talk, "using versions of all keys: %3d %%\n", 100*i/int64(len(keys)))
		}
		versions, err := listAll(caller, "/20180608/keys/"+keys[i]+"/keyVersions?limit=1000")
		if err != nil {
			return err
		}
		for _, v := range versions {
			if _, _, err := caller.Call(http.MethodPost, "/20180608/encrypt", fmt.Appendf(nil, `{"keyId":%q,"keyVersionId":%q,"plaintext":"AAAA"}`, keys[i], v)); err != nil {
				return err
			}
			used.Add(1)
		}
	}
	return ctx.Err()
}

// listAll reads all pages of a list and answers the ids.
func listAll(c *bench.Caller, path string) (ids []string, err error) {
	for page := ""; ; {
		at := path
		if page != "" {
			at += "&page=" + url.QueryEscape(page)
		}
		text, next, err := c.Call(http.MethodGet, at, nil)
		if err != nil {
			return nil, err
		}
		var items []struct{ ID string }
		if err := json.Unmarshal(text, &items); err != nil {
			return nil, err
		}
		for _, item := range items {
			ids = append(ids, item.ID)
		}
		if page = next; page == "" {
			return ids, nil
		}
	}
}
