// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"claviger/internal/audit"
	"claviger/internal/config"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"List audited changes, oldest first."`
	Verify auditVerifyCmd `cmd:"" help:"Check the hash chain of the audit log of data calls and refusals."`
}

type auditListCmd struct {
	adminFlags
	After int64 `help:"Only events after this sequence number." placeholder:"N"`
	Limit int   `help:"At most so many." default:"100"`
}

// Run lists audited changes.
func (c *auditListCmd) Run(a *app) error {
	client, err := c.client(a)
	if err != nil {
		return err
	}
	all, err := client.Audit(a.ctx, c.After, c.Limit)
	if err != nil {
		return err
	}
	return show(a, c.JSON, all, func() {
		var rows [][]string
		for _, e := range all {
			ev := auditEvent(e.Event)
			rows = append(rows, []string{
				strconv.FormatInt(e.Sequence, 10), ev["time"], ev["dialect"], ev["operation"], ev["outcome"], ev["principal"], ev["session_name"], ev["key"], ev["version"],
			})
		}
		a.table([]string{"NO", "TIME", "API", "OPERATION", "OUTCOME", "PRINCIPAL", "SESSION", "KEY", "VERSION"}, rows)
	})
}

// auditEvent is an event's members as text.
func auditEvent(raw json.RawMessage) map[string]string {
	var members map[string]any
	out := map[string]string{}
	if json.Unmarshal(raw, &members) == nil {
		for name, value := range members {
			out[name] = fmt.Sprint(value)
		}
	}
	return out
}

type auditVerifyCmd struct {
	Config string `help:"Configuration of the server whose log it is." placeholder:"FILE"`
	Dir    string `arg:"" optional:"" help:"The log's directory. Default: that of the configuration."`
	JSON   bool   `name:"json" help:"Print JSON, for programs."`
}

// Run checks the files themselves, whether a server writes there or not.
func (c *auditVerifyCmd) Run(a *app) error {
	dir := c.Dir
	switch {
	case dir != "":
	case c.Config == "":
		return usageError{errors.New("give the log's directory, or --config")}
	default:
		cfg, err := config.Load(c.Config)
		if err != nil {
			return usageError{err}
		}
		dir = cfg.Audit.Dir
	}
	r, err := audit.Verify(dir)
	if err != nil {
		return err
	}
	out := auditReport{
		Segments: r.Segments, Events: r.Events, First: r.First, Last: r.Head.Sequence,
		Hash: fmt.Sprintf("%x", r.Head.Hash), Torn: len(r.Torn),
	}
	return show(a, c.JSON, out, func() {
		a.fields("segments", strconv.Itoa(out.Segments), "events", strconv.FormatUint(out.Events, 10),
			"first line", strconv.FormatUint(out.First, 10), "last line", strconv.FormatUint(out.Last, 10), "its hash", out.Hash,
			"torn lines", strconv.Itoa(out.Torn))
	})
}

// auditReport is what a whole chain says of itself. Whoever keeps the last line's number and
// hash elsewhere sees later that nothing was cut off.
type auditReport struct {
	Segments int    `json:"segments"`
	Events   uint64 `json:"events"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Hash     string `json:"hash"`
	Torn     int    `json:"torn"` // lines that killed processes left unfinished
}
