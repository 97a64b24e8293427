// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// How often progress is shown: as often as an eye wants it on a terminal, as seldom as a log does
// elsewhere.
const (
	barInterval  = 100 * time.Millisecond
	lineInterval = 10 * time.Second
	barWidth     = 30
)

// progress shows on standard error how far long work has come: a bar that is drawn again and
// again on a terminal, a line now and then elsewhere. It belongs to one goroutine at a time.
type progress struct {
	out      io.Writer
	what     string
	terminal bool
	share    bool // what is done is a share of the work, and counts nothing
	now      func() time.Time

	began, shown time.Time
	drawn, over  bool
}

// progress begins to show what is done, in a word or two.
func (a *app) progress(what string) *progress {
	f, ok := a.err.(*os.File)
	p := &progress{out: a.err, what: what, terminal: ok && term.IsTerminal(int(f.Fd())), now: time.Now}
	p.began = p.now()
	p.shown = p.began
	return p
}

// percents is progress of work that is told in percent.
func (a *app) percents(what string) *progress {
	p := a.progress(what)
	p.share = true
	return p
}

// show tells that done of total is done. It may be called as often as one likes.
func (p *progress) show(done, total int) {
	now, interval := p.now(), lineInterval
	if p.terminal {
		interval = barInterval
	}
	if p.over || (done < total && now.Sub(p.shown) < interval) {
		return
	}
	p.shown, p.drawn, p.over = now, true, done >= total
	share := 1.0
	if total > 0 {
		share = min(1, float64(done)/float64(total))
	}
	counted := ""
	if !p.share {
		counted = fmt.Sprintf("  %d of %d", done, total)
	}
	line := fmt.Sprintf("%s %3.0f%%%s%s", p.what, 100*share, counted, p.left(now, share, done))
	if !p.terminal {
		_, _ = fmt.Fprintln(p.out, line) // nobody to tell
		return
	}
	full := int(share * barWidth)
	_, _ = fmt.Fprintf(p.out, "\r%s%s %s\x1b[K", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), line)
}

// left is when the work will be over if it goes on as it went, and how that was.
func (p *progress) left(now time.Time, share float64, done int) string {
	spent := now.Sub(p.began)
	if share >= 1 {
		return fmt.Sprintf(", took %s", spent.Round(time.Second))
	}
	if share < 0.001 {
		return ""
	}
	left := fmt.Sprintf(", %s left", time.Duration(float64(spent)*(1-share)/share).Round(time.Second))
	if p.share {
		return left
	}
	return left + fmt.Sprintf(", %.0f/s", float64(done)/spent.Seconds())
}

// end leaves the terminal's line.
func (p *progress) end() {
	if p.terminal && p.drawn {
		_, _ = fmt.Fprintln(p.out)
	}
}
