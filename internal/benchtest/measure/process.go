// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is a server that was started here.
type process struct {
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan struct{}
	err  error // once done is closed
}

const stopTime = 30 * time.Second

// start runs a server until stop. What it prints to standard output is read by line.
func start(name string, line func(string), args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), log: &bytes.Buffer{}, done: make(chan struct{})}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			line(s.Text())
		}
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// await waits until ready says so.
func (p *process) await(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s ended: %w\n%s", p.cmd.Path, errors.Join(p.err, errors.New("it was to serve")), p.log)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// rest waits until a server has had next to nothing to do for so many seconds, of which the first is not looked
// at: its RSA pairs are made, which would be counted as its requests' work, and in time it has given back the
// memory that it does not need.
func rest(ctx context.Context, pid, seconds int) error {
	var before time.Duration
	for quiet := 0; quiet < seconds; quiet++ {
		now, err := cpuTime(pid)
		if err != nil {
			return err
		}
		if now-before > 50*time.Millisecond {
			quiet = 0
		}
		before = now
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the server as an operator does, and forcefully if that takes too long.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended
	select {
	case <-p.done:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop within %s", p.cmd.Path, stopTime)
	}
	if p.err != nil && !strings.Contains(p.err.Error(), "signal: interrupt") { // which ends what does not handle it
		return fmt.Errorf("%s: %w\n%s", p.cmd.Path, p.err, p.log)
	}
	return nil
}
