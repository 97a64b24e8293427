// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"claviger/internal/keys"
)

// The encoding is hashed and stored: it must never change.
func TestEventEncodingIsFixed(t *testing.T) {
	t.Parallel()
	const want = `{"time":"2026-11-21T18:30:12.345678Z","request":"r1","dialect":"oci","operation":"Encrypt","action":"Encrypt",` +
		`"principal":"01010101-0101-0101-0101-010101010101","credential":"02020202-0202-0202-0202-020202020202",` +
		`"tenant":"03030303-0303-0303-0303-030303030303","vault":"04040404-0404-0404-0404-040404040404",` +
		`"key":"05050505-0505-0505-0505-050505050505","version":"06060606-0606-0606-0606-060606060606",` +
		`"outcome":"denied","reason":"the principal has no role on \"v\"","source":"127.0.0.1:5000",` +
		`"context":{"a":"1\n","b":"2"},"revision":7}`
	lasting := full()
	lasting.Session, lasting.SessionName = keys.ID{}, ""
	if diff := cmp.Diff(want, string(lasting.AppendJSON(nil))); diff != "" {
		t.Error(diff)
	}
	const where = `"tenant":"03`
	inSession := strings.Replace(want, where, `"session":"07070707-0707-0707-0707-070707070707","session_name":"ci",`+where, 1)
	if diff := cmp.Diff(inSession, string(full().AppendJSON(nil))); diff != "" {
		t.Error(diff)
	}
	const least = `{"time":"0001-01-01T00:00:00.000000Z","outcome":""}`
	if got := string(Event{}.AppendJSON(nil)); got != least {
		t.Errorf("zero event is %s", got)
	}
	e := full()
	e.FromKey[0], e.FromVersion[0] = 7, 8
	between := `"version":"06060606-0606-0606-0606-060606060606","from_key":"07000000-0000-0000-0000-000000000000",` +
		`"from_version":"08000000-0000-0000-0000-000000000000","outcome":`
	if got := string(e.AppendJSON(nil)); !strings.Contains(got, between) {
		t.Errorf("with another key: %s", got)
	}
	// Computed with other tools over the text above.
	const first, second = "0e0affe03bcfd61bdff30ee2d2248cd63e5b714200743827b6717125c9a29999", "597bb781f4fac729e1f3d4c9bc41c2033c5a11888ea13c3b2fb063452825965f"
	one := lasting.Hash([32]byte{})
	two := lasting.Hash(one)
	if hex.EncodeToString(one[:]) != first || hex.EncodeToString(two[:]) != second {
		t.Errorf("hashes are %x and %x", one, two)
	}
}

func TestEventReadsBack(t *testing.T) {
	t.Parallel()
	for _, e := range []Event{{}, full(), {FromKey: keys.ID{1}, FromVersion: keys.ID{2}}, {Time: born(), Outcome: OutcomeOK, Revision: -1}} {
		got, err := ParseEvent(e.AppendJSON(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEventTimeHasSixDecimals(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(1, 1, 1, 0, 0, 0, 1_000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 120_340_000, time.UTC),
		time.Date(2026, 3, 4, 5, 6, 7, 5_999, time.FixedZone("", -3600)), time.Unix(0, 0),
	} {
		want := `{"time":"` + at.UTC().Format("2006-01-02T15:04:05.000000Z") + `"`
		if got := string(Event{Time: at}.AppendJSON(nil)); !strings.HasPrefix(got, want) {
			t.Errorf("%v: %s, want %s", at, got, want)
		}
	}
}

// A database keeps microseconds, in any time zone: the hash must not see the difference.
func TestEventHashSurvivesStorage(t *testing.T) {
	t.Parallel()
	e := full()
	e.Time = e.Time.Add(999 * time.Nanosecond)
	stored := e
	stored.Time = time.UnixMicro(e.Time.UnixMicro()).In(time.FixedZone("", 3600))
	if e.Hash([32]byte{}) != stored.Hash([32]byte{}) {
		t.Error("the hash differs after storage in microseconds")
	}
}

func TestEventHashCoversEveryField(t *testing.T) {
	t.Parallel()
	base := full()
	base.FromKey, base.FromVersion = keys.ID{7}, keys.ID{8}
	change := map[string]func(*Event){
		"time": func(e *Event) { e.Time = e.Time.Add(time.Microsecond) }, "request": func(e *Event) { e.Request += "x" },
		"dialect": func(e *Event) { e.Dialect += "x" }, "operation": func(e *Event) { e.Operation += "x" },
		"action": func(e *Event) { e.Action += "x" }, "principal": func(e *Event) { e.Principal[0]++ },
		"credential": func(e *Event) { e.Credential[0]++ }, "session": func(e *Event) { e.Session[0]++ },
		"session_name": func(e *Event) { e.SessionName += "x" }, "tenant": func(e *Event) { e.Tenant[0]++ },
		"vault": func(e *Event) { e.Vault[0]++ }, "key": func(e *Event) { e.Key[0]++ },
		"version": func(e *Event) { e.Version[0]++ }, "outcome": func(e *Event) { e.Outcome += "x" },
		"from_key": func(e *Event) { e.FromKey[0]++ }, "from_version": func(e *Event) { e.FromVersion[0]++ },
		"reason": func(e *Event) { e.Reason += "x" }, "source": func(e *Event) { e.Source += "x" },
		"context": func(e *Event) { e.Context = nil }, "revision": func(e *Event) { e.Revision++ },
	}
	var fields map[string]any
	if err := json.Unmarshal(base.AppendJSON(nil), &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if change[name] == nil {
			t.Errorf("field %s is not tried", name)
			continue
		}
		e := base
		change[name](&e)
		if e.Hash([32]byte{}) == base.Hash([32]byte{}) {
			t.Errorf("the hash does not cover %s", name)
		}
	}
}

func TestEventOddText(t *testing.T) {
	t.Parallel()
	e := Event{
		Time: born(), Outcome: "\x00\x1f\b\t\n\f\r\"\\/<>&\u2028é\U0001F511\xff",
		Context: map[string]string{"\xff": "first", "\xfe\xff": "other", "ok": "\xc3"},
	}
	text := e.AppendJSON(nil)
	const want = `"outcome":"\u0000\u001f\b\t\n\f\r\"\\/<>&` + "\u2028é\U0001F511\uFFFD" + `"`
	if !strings.Contains(string(text), want) {
		t.Errorf("%s does not contain %s", text, want)
	}
	// Both odd names become U+FFFD; the first in byte order wins, every time.
	const context = `"context":{"ok":"` + "\uFFFD" + `","` + "\uFFFD" + `":"other"}`
	if !strings.Contains(string(text), context) {
		t.Errorf("%s does not contain %s", text, context)
	}
	if _, err := ParseEvent(text); err != nil {
		t.Errorf("cannot be read back: %v", err)
	}
}

func TestEventOddTimes(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)),
		time.Date(292_000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)),
		time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		text := Event{Time: at}.AppendJSON(nil)
		if _, err := ParseEvent(text); err != nil {
			t.Errorf("%s cannot be read back: %v", text, err)
		}
	}
}

func TestParseEventRefuses(t *testing.T) {
	t.Parallel()
	good := string(full().AppendJSON(nil))
	for what, text := range map[string]string{
		"empty":          "",
		"null":           "null",
		"white space":    strings.Replace(good, ",", ", ", 1),
		"trailing":       good + " ",
		"two values":     good + good,
		"unknown field":  strings.Replace(good, `"request"`, `"requests"`, 1),
		"upper case":     strings.Replace(good, `"request"`, `"Request"`, 1),
		"order":          `{"outcome":"ok","time":"2026-11-21T18:30:12.345678Z"}`,
		"duplicate":      `{"time":"2026-11-21T18:30:12.345678Z","outcome":"ok","outcome":"ok"}`,
		"other escape":   strings.Replace(good, `Encrypt`, `\u0045ncrypt`, 1),
		"zone":           strings.Replace(good, `345678Z`, `345678+00:00`, 1),
		"no decimals":    strings.Replace(good, `.345678Z`, `Z`, 1),
		"nanoseconds":    strings.Replace(good, `.345678Z`, `.345678900Z`, 1),
		"empty context":  `{"time":"2026-11-21T18:30:12.345678Z","outcome":"ok","context":{}}`,
		"zero id":        strings.Replace(good, "01010101-0101-0101-0101-010101010101", keys.ID{}.String(), 1),
		"context order":  strings.Replace(good, `"a":"1\n","b":"2"`, `"b":"2","a":"1\n"`, 1),
		"invalid UTF-8":  strings.Replace(good, "Encrypt", "\xff", 1),
		"zero revision":  strings.Replace(good, `"revision":7`, `"revision":0`, 1),
		"other revision": strings.Replace(good, `"revision":7`, `"revision":7e0`, 1),
	} {
		if e, err := ParseEvent([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", what, e)
		}
	}
}

func TestEventMarshalJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(full())
	if err != nil || string(got) != string(full().AppendJSON(nil)) {
		t.Errorf("json.Marshal gives %s, %v", got, err)
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add(full().AppendJSON(nil))
	f.Add(Event{}.AppendJSON(nil))
	f.Add([]byte(`{"time":"2026-11-21T18:30:12.345678Z","outcome":"\u0000","context":{"":""}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ParseEvent(text)
		if err == nil && string(e.AppendJSON(nil)) != string(text) {
			t.Fatalf("%s parses, but is written as %s", text, e.AppendJSON(nil))
		}
	})
}

// Whatever is put into an event can be written and read back.
func FuzzEvent(f *testing.F) {
	f.Add("text", "name", "\xff", int64(1), int64(0))
	f.Fuzz(func(t *testing.T, text, name, other string, sec, rev int64) {
		e := Event{
			Time: time.Unix(sec, 0), Request: text, Outcome: other, Reason: name, Revision: rev,
			Context: map[string]string{name: text, other: name, text: other},
		}
		got, err := ParseEvent(e.AppendJSON(nil))
		if err != nil {
			t.Fatalf("%s: %v", e.AppendJSON(nil), err)
		}
		if got.Hash([32]byte{}) != e.Hash([32]byte{}) {
			t.Fatal("the hash differs after reading back")
		}
	})
}
