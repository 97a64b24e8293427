// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"claviger/internal/dialect/admin"
)

type clockCmd struct {
	Show    clockShowCmd    `cmd:"" help:"Show the clock."`
	Advance clockAdvanceCmd `cmd:"" help:"Move the clock forward; what becomes due on the way happens."`
	Next    clockNextCmd    `cmd:"" help:"Move the clock to the next scheduled event."`
	Freeze  clockFreezeCmd  `cmd:"" help:"Stop the clock."`
	Run     clockRunCmd     `cmd:"" help:"Let a stopped clock run on."`
}

type clockShowCmd struct{ adminFlags }

// Run shows the clock.
func (c *clockShowCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	clock, err := client.Clock(a.ctx)
	if err != nil {
		return err
	}
	return showClock(a, c.JSON, clock)
}

func showClock(a *app, asJSON bool, c *admin.Clock) error {
	return show(a, asJSON, c, func() {
		a.fields("now", stamp(c.Now), "machine", stamp(c.Machine), "offset", roughly(c.Offset), "frozen", yesNo(c.Frozen), "movable", yesNo(c.Virtual))
	})
}

// roughly rounds a span for people: the clock goes on while it is being moved.
func roughly(span string) string {
	d, err := time.ParseDuration(span)
	if err != nil {
		return span
	}
	return d.Round(time.Second).String()
}

func (f *adminFlags) move(a *app, change admin.ClockChange) error {
	client, err := f.client(a)
	if err != nil {
		return err
	}
	clock, err := client.MoveClock(a.ctx, change)
	if err != nil {
		return err
	}
	return showClock(a, f.JSON, clock)
}

type clockAdvanceCmd struct {
	adminFlags
	Span string `arg:"" help:"How far, such as 90s, 168h or 7d."`
}

// Run moves the clock forward.
func (c *clockAdvanceCmd) Run(a *app) error {
	return c.move(a, admin.ClockChange{Advance: c.Span})
}

type clockNextCmd struct{ adminFlags }

// Run moves the clock to the next event.
func (c *clockNextCmd) Run(a *app) error { return c.move(a, admin.ClockChange{ToNextEvent: true}) }

type clockFreezeCmd struct{ adminFlags }

// Run stops the clock.
func (c *clockFreezeCmd) Run(a *app) error {
	on := true
	return c.move(a, admin.ClockChange{Freeze: &on})
}

type clockRunCmd struct{ adminFlags }

// Run lets the clock run.
func (c *clockRunCmd) Run(a *app) error {
	on := false
	return c.move(a, admin.ClockChange{Freeze: &on})
}

type eventsCmd struct {
	adminFlags
	Limit int `help:"At most so many." default:"100"`
}

// Run shows what is scheduled.
func (c *eventsCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Events(a.ctx, c.Limit)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, e := range all {
			rows = append(rows, []string{stamp(e.At), e.Kind, e.ID})
		}
		a.table([]string{"AT", "EVENT", "ID"}, rows)
	})
}

type resetCmd struct {
	adminFlags
	confirmFlag
}

// Run takes a dev server back to its first state.
func (c *resetCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	if err := c.confirm(a, "forget everything that was made since the first start of", client.Endpoint); err != nil {
		return err
	}
	return client.Reset(a.ctx)
}
