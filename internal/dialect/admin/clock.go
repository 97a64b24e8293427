// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"strconv"
	"strings"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

type noParams struct{}

func (a *API) info(_ context.Context, _ *kms.Call, _ *noParams) (*Info, error) {
	out := &Info{Version: a.cfg.Version, Mode: a.cfg.Mode, FIPS: a.cfg.FIPS, Regions: []string{}, RegionNames: map[string]Names{}}
	for _, r := range a.service.Regions() {
		out.Regions = append(out.Regions, string(r))
		out.RegionNames[string(r)] = Names{}
		for _, n := range a.cfg.Naming {
			if name := n.Region(r); name != "" {
				out.RegionNames[string(r)][n.Dialect()] = name
			}
		}
	}
	return out, nil
}

func (a *API) clock(context.Context, *kms.Call, *noParams) (*Clock, error) {
	s := a.service.ClockState()
	return &Clock{Now: s.Now, Machine: s.Wall, Offset: s.Offset.String(), Frozen: s.Frozen, Virtual: s.Virtual}, nil
}

type moveClockRequest struct{ Body ClockChange }

func (a *API) moveClock(ctx context.Context, c *kms.Call, r *moveClockRequest) (*Clock, error) {
	set := 0
	for _, is := range []bool{r.Body.Freeze != nil, r.Body.Advance != "", r.Body.ToNextEvent} {
		if is {
			set++
		}
	}
	if set != 1 {
		return nil, keys.Invalid("body", "give exactly one of freeze, advance and toNextEvent")
	}
	if err := a.changeClock(ctx, r.Body); err != nil {
		return nil, err
	}
	return a.clock(ctx, c, nil)
}

func (a *API) changeClock(ctx context.Context, change ClockChange) error {
	switch {
	case change.Freeze != nil:
		return a.service.Freeze(ctx, *change.Freeze)
	case change.ToNextEvent:
		_, ok, err := a.service.ToNextEvent(ctx)
		if err == nil && !ok {
			return &keys.Error{Kind: keys.KindState, Hint: "nothing is scheduled"}
		}
		return err
	}
	d, err := parseSpan("advance", change.Advance)
	if err != nil {
		return err
	}
	return a.service.Advance(ctx, d)
}

// parseSpan reads a time span: as Go writes it, or in whole days.
func parseSpan(field, s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * keys.Day, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, keys.Invalid(field, strconv.Quote(s)+` is not a time span such as "168h", "90s" or "7d"`)
	}
	return d, nil
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

func limitOf(n int) (int, error) {
	switch {
	case n == 0:
		return defaultLimit, nil
	case n > maxLimit:
		return 0, keys.Invalid("limit", "at most "+strconv.Itoa(maxLimit))
	}
	return n, nil
}

type eventsRequest struct {
	Limit int `query:"limit"`
}

func (a *API) events(ctx context.Context, c *kms.Call, r *eventsRequest) (*List[Event], error) {
	limit, err := limitOf(r.Limit)
	if err != nil {
		return nil, err
	}
	due, err := a.service.Scheduled(ctx, c, limit)
	if err != nil {
		return nil, err
	}
	out := &List[Event]{Items: []Event{}}
	for _, d := range due {
		out.Items = append(out.Items, Event{At: d.At, Kind: string(d.Kind), ID: d.ID.String()})
	}
	return out, nil
}

func (a *API) reset(ctx context.Context, _ *kms.Call, _ *noParams) (none, error) {
	if a.cfg.Reset == nil {
		return none{}, &keys.Error{Kind: keys.KindUnsupported, Hint: "reset is for dev only: this server's data is real"}
	}
	return none{}, a.cfg.Reset(ctx)
}
